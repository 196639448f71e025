# SPDX-License-Identifier: Apache-2.0
# The boot medium: GRUB, a hypervisor, dom0's kernel and initramfs. Needs boot/lib/say.sh.

# iso_make FILE HYPERVISOR_IMAGE HYPERVISOR_ARGS KERNEL KERNEL_ARGS INITRAMFS
iso_make() {
    local file=$1 image=$2 dir
    dir=$(mktemp -d "$PLINTH_BUILD/iso.XXXXXX")
    mkdir -p "$dir/boot/grub"
    # GRUB would load the debugging information too.
    strip -o "$dir/boot/${image##*/}" "$image" 2>/dev/null || cp "$image" "$dir/boot/${image##*/}"
    ln "$4" "$dir/boot/vmlinuz" 2>/dev/null || cp "$4" "$dir/boot/vmlinuz"
    ln "$6" "$dir/boot/dom0.cpio" 2>/dev/null || cp "$6" "$dir/boot/dom0.cpio"
    cat >"$dir/boot/grub/grub.cfg" <<GRUB
set timeout=0
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
insmod all_video
menuentry "${image##*/} with Debian as dom0" {
    multiboot2 /boot/${image##*/} $3
    module2 /boot/vmlinuz $5
    module2 /boot/dom0.cpio
}
GRUB
    quietly "$PLINTH_BUILD/log/iso.log" grub-mkrescue -o "$file.new" "$dir"
    mv "$file.new" "$file"
    rm -rf "$dir"
}
