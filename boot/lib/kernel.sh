# SPDX-License-Identifier: Apache-2.0
# Debian's own kernels, as packaged: fetched with apt, never patched. Needs boot/lib/say.sh and install.sh.

# kernel_package FLAVOUR: the versioned package linux-image-FLAVOUR depends on; remembered, so that later runs
# work without apt's lists and keep the kernel they began with.
kernel_package() {
    local flavour=$1 note=$PLINTH_BUILD/cache/kernel-$1 name
    if [ ! -s "$note" ]; then
        name=$(apt-cache depends "linux-image-$flavour" 2>/dev/null |
            sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
        if [ -z "$name" ] && [ "$(id -u)" = 0 ]; then
            quietly "$PLINTH_BUILD/log/apt-update.log" apt-get update -q
            name=$(apt-cache depends "linux-image-$flavour" |
                sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
        fi
        [ -n "$name" ] || die "apt does not know linux-image-$flavour" "sudo apt-get update"
        mkdir -p "${note%/*}"
        echo "$name" >"$note"
    fi
    cat "$note"
}

# kernel_fetch FLAVOUR: sets KERNEL_DIR (the unpacked package) and KERNEL_VERSION (as in uname -r).
kernel_fetch() {
    local package
    package=$(kernel_package "$1") || exit 1
    KERNEL_VERSION=${package#linux-image-}
    KERNEL_DIR=$PLINTH_BUILD/cache/$package
    package_unpack "$package" "$KERNEL_DIR"
    [ -e "$KERNEL_DIR/lib/modules/$KERNEL_VERSION/modules.dep" ] || depmod -b "$KERNEL_DIR" "$KERNEL_VERSION"
}

# kernel_keep DIR: the kernel of kernel_fetch as DIR/vmlinuz, and unpacked as DIR/vmlinux. Tests start from these while
# another boot/run makes its images: they are whole at any time, and change only with the kernel.
kernel_keep() {
    local packed=$KERNEL_DIR/boot/vmlinuz-$KERNEL_VERSION
    if ! cmp -s "$packed" "$1/vmlinuz"; then
        cp "$packed" "$1/vmlinuz.new"
        mv "$1/vmlinuz.new" "$1/vmlinuz"
    fi
    python3 "$PLINTH_ROOT/boot/lib/vmlinux.py" "$1/vmlinuz" "$1/vmlinux"
}
