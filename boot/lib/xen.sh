# SPDX-License-Identifier: Apache-2.0
# Stock Xen 4.17 from Debian: `boot/run --hypervisor xen` boots the same dom0 and tools on it, so that each half of
# Plinth has a counterpart to be compared with. Needs boot/lib/{say,install}.sh.

# xen_fetch: sets XEN_IMAGE to the unpacked hypervisor.
xen_fetch() {
    local dir=$PLINTH_BUILD/cache/xen-hypervisor
    package_unpack xen-hypervisor-4.17-amd64 "$dir"
    XEN_IMAGE=$dir/boot/xen-4.17-amd64
    [ -s "$XEN_IMAGE" ] || gunzip -kc "$XEN_IMAGE.gz" >"$XEN_IMAGE"
}
