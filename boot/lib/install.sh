# SPDX-License-Identifier: Apache-2.0
# Installs what boot/packages.txt names and this machine lacks. Needs boot/lib/say.sh.

# packages_missing GROUP...: the names that dpkg does not know as installed, one per line.
packages_missing() {
    local group name
    while read -r group name; do
        [[ " $* " == *" $group "* ]] || continue
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
    done < <(grep -v '^#' "$PLINTH_ROOT/boot/packages.txt")
}

# packages_ensure GROUP...: installs them as root; any other user is told the command and nothing is changed.
packages_ensure() {
    local missing
    command -v dpkg-query >/dev/null || die "no dpkg here: this script knows Debian 12 only" \
        "install the packages of boot/packages.txt by hand and run it on Debian 12"
    mapfile -t missing < <(packages_missing "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || die "missing packages: ${missing[*]}" \
        "sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
    say "installing ${missing[*]}"
    quietly "$PLINTH_BUILD/log/apt-update.log" apt-get update -q
    DEBIAN_FRONTEND=noninteractive quietly "$PLINTH_BUILD/log/apt-install.log" \
        apt-get install -y -q --no-install-recommends "${missing[@]}"
}

APT_OPTIONS=() # what apt is told besides, so that it fetches from elsewhere (kernel.sh)

# package_unpack NAME DIR: fetches Debian's package NAME (nothing is installed) and unpacks it into DIR, once: a
# DIR that already holds it is left alone, so later runs need no network.
package_unpack() {
    local name=$1 dir=$2 debs=$PLINTH_BUILD/cache/debs
    [ ! -e "$dir/.unpacked-$name" ] || return 0
    mkdir -p "$debs" "$dir"
    say "fetching $name"
    rm -f "$debs/$name"_*.deb
    (cd "$debs" && quietly "$PLINTH_BUILD/log/fetch-$name.log" \
        apt-get -q -o APT::Sandbox::User="$(id -un)" "${APT_OPTIONS[@]}" download "$name")
    quietly "$PLINTH_BUILD/log/unpack-$name.log" dpkg -x "$debs/$name"_*.deb "$dir"
    touch "$dir/.unpacked-$name"
}
