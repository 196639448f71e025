# SPDX-License-Identifier: Apache-2.0
# The two initial RAM file systems: dom0's (tools, modules, kernels for domUs) and the demo domU's (busybox).
# Everything in them is Debian's or built here; nothing needs root. Needs boot/lib/{say,install,kernel}.sh.

# What dom0 drives in QEMU and on usual machines; their dependencies come along.
DOM0_MODULES=(xen-privcmd xen-evtchn xen-gntdev xen-gntalloc xenfs xen-blkback xen-netback loop brd
    ahci ata_piix nvme sd_mod sr_mod e1000 e1000e igb virtio_pci virtio_net virtio_blk virtio_scsi
    af_packet bridge veth ext4 iso9660
    nf_tables nft_chain_nat nft_masq nft_ct nft_meta_bridge efivarfs)
# What the demo domU drives: its devices are paravirtual.
DOMU_MODULES=(xen-blkfront xen-netfront af_packet ext4 iso9660)

# tree_busybox DIR: busybox with a link per applet, and what both systems have.
tree_busybox() {
    local dir=$1 applet
    mkdir -p "$dir"/{bin,sbin,etc,proc,sys,dev,run,tmp,root,var/log,var/lib}
    cp /bin/busybox "$dir/bin/busybox"
    for applet in $(/bin/busybox --list-full); do
        mkdir -p "$dir/${applet%/*}"
        [ -e "$dir/$applet" ] || ln -s /bin/busybox "$dir/$applet"
    done
    ln -sfn /run "$dir/var/run"
    cp -r "$PLINTH_ROOT/boot/image/common/." "$dir/"
}

# tree_modules DIR NAME...: kernel modules with what they depend on, and the indexes modprobe needs. A name the
# kernel has built in is skipped; one it does not know is an error.
tree_modules() {
    local dir=$1 name how path
    shift
    for name in "$@"; do
        modprobe -d "$KERNEL_DIR" -S "$KERNEL_VERSION" --show-depends "$name" >"$dir/.modules" ||
            die "kernel $KERNEL_VERSION has no module $name"
        while read -r how path _; do
            [ "$how" = insmod ] || continue
            path=${path#"$KERNEL_DIR"/}
            mkdir -p "$dir/${path%/*}"
            cp -u "$KERNEL_DIR/$path" "$dir/$path"
        done <"$dir/.modules"
    done
    rm -f "$dir/.modules"
    cp "$KERNEL_DIR/lib/modules/$KERNEL_VERSION"/modules.{order,builtin,builtin.modinfo} \
        "$dir/lib/modules/$KERNEL_VERSION/"
    depmod -b "$dir" "$KERNEL_VERSION"
}

# tree_libraries DIR: every shared library that the programs in DIR name, copied to the path they name it by.
tree_libraries() {
    local dir=$1 lib
    # ldd fails for what is no dynamic program (a script, say): such a file needs no library.
    { find "$dir" -type f -perm -100 ! -name busybox -exec ldd {} + 2>/dev/null || true; } |
        sed -n 's/^\t\(.* => \)\?\(\/[^ ]*\) (0x.*$/\2/p' | sort -u |
        while read -r lib; do
            mkdir -p "$dir${lib%/*}"
            cp -uL "$lib" "$dir$lib"
        done
}

# tree_pack DIR FILE: a newc archive owned by root, whoever builds it.
tree_pack() {
    (cd "$1" && find . -mindepth 1 -printf '%P\n' | LC_ALL=C sort |
        cpio -o -H newc -R 0:0 --quiet --reproducible) >"$2.new"
    mv "$2.new" "$2"
}

# initramfs_domu FILE: a gzip'd busybox system with a shell on its console, and drivers for the kernels that dom0 has.
initramfs_domu() {
    local dir=$PLINTH_BUILD/$PLINTH_PRESET/boot/domu flavour
    rm -rf "$dir"
    tree_busybox "$dir"
    for flavour in cloud-amd64 amd64; do
        kernel_fetch "$flavour"
        mkdir -p "$dir/lib/modules/$KERNEL_VERSION"
        tree_modules "$dir" "${DOMU_MODULES[@]}"
    done
    cp -r "$PLINTH_ROOT/boot/image/domu/." "$dir/"
    ln -s /bin/busybox "$dir/init"
    tree_pack "$dir" "$dir.cpio"
    gzip -9nf <"$dir.cpio" >"$1.new"
    mv "$1.new" "$1"
    rm -f "$dir.cpio"
}

# tree_tools_plinth DIR: xm and vmmd.
tree_tools_plinth() { project_install "$1"; }

# tree_tools_xl DIR: Debian's own xl and the daemons it works with, which then start in place of vmmd.
tree_tools_xl() {
    local dir=$1 cache=$PLINTH_BUILD/cache/xen-utils piece
    for piece in xen-utils-4.17 xen-utils-common; do
        package_unpack "$piece" "$cache"
    done
    mkdir -p "$dir"/{usr/lib/xen-4.17,etc/xen,lib/x86_64-linux-gnu}
    cp -L /lib/x86_64-linux-gnu/libgcc_s.so.1 "$dir/lib/x86_64-linux-gnu/" # for threads that are cancelled: no program names it
    cp -a "$cache/usr/lib/xen-4.17/bin" "$dir/usr/lib/xen-4.17/"
    cp -a "$cache/etc/xen/xl.conf" "$cache/etc/xen/scripts" "$dir/etc/xen/"
    cp -r "$PLINTH_ROOT/boot/image/dom0-xl/." "$dir/"
}

# initramfs_dom0 FILE TOOLS DOMU_INITRAMFS OVERLAY...: TOOLS is plinth or xl; an OVERLAY may be empty.
initramfs_dom0() {
    local file=$1 tools=$2 domu=$3 dir=${1%.cpio} cloud standard overlay
    shift 3
    rm -rf "$dir"
    tree_busybox "$dir"
    kernel_fetch cloud-amd64
    cloud=$KERNEL_DIR/boot/vmlinuz-$KERNEL_VERSION
    kernel_fetch amd64
    standard=$KERNEL_DIR/boot/vmlinuz-$KERNEL_VERSION
    mkdir -p "$dir/lib/modules/$KERNEL_VERSION" "$dir/boot"
    tree_modules "$dir" "${DOM0_MODULES[@]}"
    cp "$standard" "$dir/boot/vmlinuz"
    cp "$cloud" "$dir/boot/vmlinuz-cloud"
    cp "$domu" "$dir/boot/domu.cpio.gz"
    package_unpack xenstore-utils "$PLINTH_BUILD/cache/xenstore-utils"
    mkdir -p "$dir/usr/bin"
    cp -a "$PLINTH_BUILD/cache/xenstore-utils/usr/bin/." "$dir/usr/bin/"
    mkdir -p "$dir/usr/sbin"
    cp "$(command -v dnsmasq)" "$dir/usr/sbin/dnsmasq"
    cp "$(command -v qemu-nbd)" "$(command -v qemu-img)" "$(command -v chattr)" "$dir/usr/bin/"
    cp -r "$PLINTH_ROOT/boot/image/dom0/." "$dir/"
    "tree_tools_$tools" "$dir"
    for overlay in "$@"; do
        [ -z "$overlay" ] || cp -a "$overlay/." "$dir/"
    done
    rm -rf "${dir:?}/usr/share" "${dir:?}/usr/include"
    ln -sfn /bin/busybox "$dir/init"
    tree_libraries "$dir"
    tree_pack "$dir" "$file"
}
