#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ssh_tree.sh FILE: a tar of Debian's OpenSSH, client and server, with the libraries they need, to be laid over dom0's
# root. Its packages are fetched once and unpacked, never installed.
set -euo pipefail

PLINTH_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
PLINTH_BUILD=${PLINTH_BUILD:-$PLINTH_ROOT/build}
for piece in say install; do
    # shellcheck source=/dev/null
    . "$PLINTH_ROOT/boot/lib/$piece.sh"
done
cache=$PLINTH_BUILD/cache/ssh
file=$1
tree=$file.tree
for package in openssh-client openssh-server libwrap0 libgssapi-krb5-2 libkrb5-3 \
    libk5crypto3 libkrb5support0 libkeyutils1 libcom-err2 libcrypt1 libpam0g libaudit1 libcap-ng0 libselinux1 \
    libpcre2-8-0 libsystemd0 libcap2 libgcrypt20 libgpg-error0 liblzma5 liblz4-1 libzstd1 libssl3 zlib1g libnsl2 libtirpc3; do
    package_unpack "$package" "$cache"
done
rm -rf "$tree"
mkdir -p "$tree"/{usr/bin,usr/sbin,lib/x86_64-linux-gnu}
cp "$cache"/usr/bin/{ssh,ssh-keygen} "$tree/usr/bin/"
cp "$cache/usr/sbin/sshd" "$tree/usr/sbin/"
LD_LIBRARY_PATH=$cache/lib/x86_64-linux-gnu:$cache/usr/lib/x86_64-linux-gnu ldd "$tree"/usr/*bin/* >"$tree.libraries"
! grep 'not found' "$tree.libraries" || die "OpenSSH needs libraries that were not fetched"
sed -n 's,^\t.* => \(/[^ ]*\) (0x.*$,\1,p' "$tree.libraries" | grep -v '/libc\.so\.6$' | sort -u |
    while read -r library; do
        cp -L "$library" "$tree/lib/x86_64-linux-gnu/"
    done
tar -C "$tree" --owner=0 --group=0 -cf "$file.new" .
mv "$file.new" "$file"
rm -rf "$tree" "$tree.libraries"
