// SPDX-License-Identifier: Apache-2.0
#include "exit/guest_translation.hpp"

#include "mm/frame_allocator.hpp"

namespace vmm
{

Guest_translation::Remembered& Guest_translation::place_for(u64 page)
{
    Pair& pair = remembered_[page % remembered_.size()];
    for (Remembered& r : pair) {
        if (r.page == page)
            return r;
    }
    return pair[next_victim_ ^= 1];
}

u8* Guest_translation::walk(P2m& p2m, Gva gva, bool write)
{
    Remembered& r        = place_for(gva.value() >> kPageShift);
    r.page               = ~0ull;
    // Before the walk: what changes meanwhile, on another CPU, makes it stale.
    const u64 generation = p2m.generation(), large_generation = p2m.large_generation();
    regions_.begin();
    const auto walked = walk_guest(p2m, regions_, paging_, alignment_check_, gva, write, r.trace);
    if (!walked) [[unlikely]]
        return nullptr;
    // A page that may be written next costs no second walk; where only the p2m forbids it, it does.
    using Access = Region_cache::Access;
    u8* host     = walked->writable
                       ? regions_.locate(p2m, walked->gpa.value(), write ? Access::write : Access::if_writable)
                       : nullptr;
    r.writable   = host != nullptr;
    if (!host && !write)
        host = regions_.locate(p2m, walked->gpa.value(), Access::read);
    if (!host)
        return nullptr;
    if (r.writable)
        frames.mark_written(to_mfn(to_physical(host)));
    if (!r.trace.complete)
        return host;
    r.page       = gva.value() >> kPageShift;
    r.epoch      = epoch_;
    r.run        = run_;
    r.host       = host - page_offset(gva);
    r.small      = regions_.small();
    r.generation = r.small ? generation : large_generation;
    return host;
}

} // namespace vmm
