# SPDX-License-Identifier: Apache-2.0
# A Debian 12 system on a disk image, as a guest of its own: made by debootstrap from the mirror that apt uses here.
# Needs boot/lib/say.sh.

# What the system has besides Debian's minimal set: an init, a network by DHCP, and something that tries its disk.
DEBIAN_PACKAGES=(linux-image-cloud-amd64 systemd-sysv udev ifupdown isc-dhcp-client iproute2 iputils-ping
    ca-certificates fio)
DEBIAN_SIZE=2G # of the image, which is sparse

# debian_mirror: where apt here finds Debian 12 itself.
debian_mirror() {
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        awk '$1 == "bookworm" && $2 == "main" { print $3; found = 1; exit }
             END { if (!found) print "http://deb.debian.org/debian" }'
}

# debian_bootstrap DIR MIRROR: the packages, installed into the empty DIR. Where it fails it begins once more: unlike apt,
# debootstrap does not ask again for what did not come.
debian_bootstrap() {
    local words=(--variant=minbase --include="$(IFS=,; echo "${DEBIAN_PACKAGES[*]}")" bookworm "$1" "$2")
    debootstrap "${words[@]}" || { find "$1" -xdev -mindepth 1 -delete && debootstrap "${words[@]}"; }
}

# debian_settings DIR: what an installer would have asked for. Its root has no password: it is reached by its console.
debian_settings() {
    local dir=$1
    echo debian >"$dir/etc/hostname"
    printf '127.0.0.1 localhost\n127.0.1.1 debian\n' >"$dir/etc/hosts"
    echo '/dev/xvda / ext4 errors=remount-ro 0 1' >"$dir/etc/fstab"
    printf 'auto lo enX0\niface lo inet loopback\niface enX0 inet dhcp\n' >"$dir/etc/network/interfaces"
    printf 'deb %s bookworm main\ndeb http://deb.debian.org/debian-security bookworm-security main\n' \
        "$2" >"$dir/etc/apt/sources.list"
    : >"$dir/etc/machine-id" # the first boot makes one
    : >"$dir/etc/resolv.conf" # DHCP says
    chroot "$dir" passwd -d root
    chroot "$dir" apt-get clean
    rm -rf "$dir"/var/lib/apt/lists/*
}

# debian_image DIR: makes DIR/{root.img,vmlinuz,initrd.img} unless they are there.
debian_image() {
    local out=$1 work mirror
    [ ! -s "$out/root.img" ] || return 0
    [ "$(id -u)" = 0 ] || die "debootstrap needs root to make the Debian guest's disk" \
        "sudo boot/run --debian --iso $out/debian.iso makes it once, for any user after that"
    mirror=$(debian_mirror)
    say "making a Debian 12 disk from $mirror (a few minutes, once)"
    mkdir -p "$out"
    work=$(mktemp -d "$out/root.XXXXXX")
    chmod 755 "$work"
    quietly "$PLINTH_BUILD/log/debootstrap.log" debian_bootstrap "$work" "$mirror"
    quietly "$PLINTH_BUILD/log/debian-settings.log" debian_settings "$work" "$mirror"
    cp -L "$work/vmlinuz" "$out/vmlinuz"
    cp -L "$work/initrd.img" "$out/initrd.img"
    quietly "$PLINTH_BUILD/log/mke2fs.log" mke2fs -t ext4 -L debian -d "$work" "$out/root.img.new" "$DEBIAN_SIZE"
    rm -rf --one-file-system "$work"
    chmod 644 "$out"/{vmlinuz,initrd.img,root.img.new}
    mv "$out/root.img.new" "$out/root.img"
}

# debian_overlay IMAGE_DIR DIR: what dom0 needs to run it, to be laid over its root.
debian_overlay() {
    rm -rf "$2"
    mkdir -p "$2/boot/debian"
    cp "$1"/{vmlinuz,initrd.img} "$2/boot/debian/"
    cp -r "$PLINTH_ROOT/boot/image/dom0-debian/." "$2/"
}
