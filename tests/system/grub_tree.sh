#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# grub_tree.sh DIR: a guest's file system as it is on its disk: GRUB's configuration, a kernel, an initial RAM file
# system; and beside it, for dom0, the GRUB that guests begin with, from Debian's package.
set -euo pipefail

PLINTH_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
PLINTH_BUILD=${PLINTH_BUILD:-$PLINTH_ROOT/build}
for piece in say install kernel; do
    # shellcheck source=/dev/null
    . "$PLINTH_ROOT/boot/lib/$piece.sh"
done
package_unpack grub-xen-host "$PLINTH_BUILD/cache/grub-xen-host"
kernel_fetch cloud-amd64
rm -rf "$1"
mkdir -p "$1/boot/grub"
cp "$PLINTH_BUILD/cache/grub-xen-host/usr/lib/grub-xen/grub-i386-xen_pvh.bin" "$1/"
cp "$KERNEL_DIR/boot/vmlinuz-$KERNEL_VERSION" "$1/boot/vmlinuz"
cp "${1%/*}/domu.cpio.gz" "$1/boot/initrd.img"
cat >"$1/boot/grub/grub.cfg" <<'GRUB'
set timeout=1
menuentry "the guest's own kernel" {
    linux /boot/vmlinuz console=hvc0 quiet
    initrd /boot/initrd.img
}
GRUB
