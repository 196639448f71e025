// SPDX-License-Identifier: Apache-2.0
#include "mm/region_cache.hpp"

namespace vmm
{

u8* Region_cache::locate_slowly(P2m& p2m, u64 gpa, Access access)
{
    if (generation_ != p2m.large_generation()) {
        generation_ = p2m.large_generation();
        regions_.fill({});
    }
    const Gfn gfn = to_gfn(Gpa(gpa));
    P2m_entry at  = p2m.lookup(gfn);
    if (at.type == P2m_type::ram_common && access == Access::write && p2m.make_own(gfn)) [[unlikely]]
        at = p2m.lookup(gfn);
    if (!at.present() || is_mmio(at.type) || (access != Access::read && !is_writable(at.type))) [[unlikely]]
        return nullptr;
    if (at.type == P2m_type::ram && at.order >= kOrder2m) {
        const u64 number            = gpa >> kRegionShift;
        regions_[number % kRegions] = {number, to_virtual<u8>(at.mfn - (gfn.value() & low_bits(kOrder2m)))};
    } else {
        small_ = true;
    }
    return to_virtual<u8>(to_hpa(at.mfn) + (gpa & kPageMask));
}

} // namespace vmm
