# SPDX-License-Identifier: Apache-2.0
# Debian's own kernels, as packaged: fetched with apt, never patched. Needs boot/lib/say.sh and install.sh.

KERNEL_SUITE='' KERNEL_APT=() # of this machine's own release

# kernel_suite SUITE: kernels are that release's from now on, whatever this machine's is. apt keeps what it knows of it in a
# place of its own.
kernel_suite() {
    local dir=$PLINTH_BUILD/cache/apt-$1
    KERNEL_SUITE=-$1
    KERNEL_APT=(-o "Dir::Etc::SourceList=$dir/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$dir/lists"
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o "APT::Sandbox::User=$(id -un)" -o Debug::NoLocking=1)
    [ ! -e "$dir/.updated" ] || return 0
    mkdir -p "$dir/lists/partial"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $1 main" \
        >"$dir/sources.list"
    quietly "$PLINTH_BUILD/log/apt-update-$1.log" apt-get "${KERNEL_APT[@]}" -o APT::Update::Error-Mode=any update -q
    touch "$dir/.updated"
}

# kernel_named FLAVOUR: the package with a version in its name that apt would install for linux-image-FLAVOUR, if any.
kernel_named() {
    apt-cache "${KERNEL_APT[@]}" depends "linux-image-$1" 2>/dev/null |
        sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1
}

# kernel_package FLAVOUR: the versioned package linux-image-FLAVOUR depends on; remembered, so that later runs
# work without apt's lists and keep the kernel they began with.
kernel_package() {
    local flavour=$1 note=$PLINTH_BUILD/cache/kernel-$1$KERNEL_SUITE name
    if [ ! -s "$note" ]; then
        name=$(kernel_named "$flavour")
        if [ -z "$name$KERNEL_SUITE" ] && [ "$(id -u)" = 0 ]; then
            quietly "$PLINTH_BUILD/log/apt-update.log" apt-get update -q
            name=$(kernel_named "$flavour")
        fi
        [ -n "$name$KERNEL_SUITE" ] || die "apt does not know linux-image-$flavour" "sudo apt-get update"
        [ -n "$name" ] || die "${KERNEL_SUITE#-} has no linux-image-$flavour" "rm -r $PLINTH_BUILD/cache/apt$KERNEL_SUITE"
        mkdir -p "${note%/*}"
        echo "$name" >"$note"
    fi
    cat "$note"
}

# kernel_unpack PACKAGE DIR: and what releases after Debian 13 have in packages of its own: the modules, the kernel itself.
# There all of it is below usr/lib.
kernel_unpack() {
    local package=$1 dir=$2 version=${1#linux-image-} piece APT_OPTIONS=("${KERNEL_APT[@]}")
    [ ! -e "$dir/.unpacked-$package" ] || return 0
    for piece in $(apt-cache "${KERNEL_APT[@]}" depends "$package" |
        sed -n "s/^ *Depends: \(linux-\(modules\|binary\|base\)-$version\)\$/\1/p"); do
        package_unpack "$piece" "$dir"
    done
    package_unpack "$package" "$dir"
    [ -e "$dir/lib" ] || ln -s usr/lib "$dir/lib"
    mkdir -p "$dir/boot"
    [ -e "$dir/boot/vmlinuz-$version" ] || ln -s "../lib/modules/$version/vmlinuz" "$dir/boot/vmlinuz-$version"
}

# kernel_fetch FLAVOUR: sets KERNEL_DIR (the unpacked package) and KERNEL_VERSION (as in uname -r).
kernel_fetch() {
    local package
    package=$(kernel_package "$1") || exit 1
    KERNEL_VERSION=${package#linux-image-}
    KERNEL_DIR=$PLINTH_BUILD/cache/$package
    kernel_unpack "$package" "$KERNEL_DIR"
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
