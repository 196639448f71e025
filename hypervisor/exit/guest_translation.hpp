// SPDX-License-Identifier: Apache-2.0
//
// What a vCPU remembers about where its linear addresses lead, so that not every access walks the guest's
// page tables anew. Nothing here can be stale: a remembered walk is used only if the vCPU's paging state and
// every entry the walk went through are what they were since the vCPU last ran, and the p2m did not change
// what they lead to.
#pragma once

#include "arch/x86/paging/guest_walk.hpp"
#include "mm/region_cache.hpp"

namespace vmm
{

class Guest_translation
{
  public:
    // The vCPU is about to run: it may change its paging state and its tables.
    void begin_run() { ++run_; }

    // Host address of the byte, if its page was located since the vCPU last ran.
    [[nodiscard]] u8* recall(const P2m& p2m, Gva gva, bool write) const
    {
        const u64 page      = gva.value() >> kPageShift;
        const Pair& pair    = remembered_[page % remembered_.size()];
        const Remembered& r = pair[0].page == page ? pair[0] : pair[1];
        const bool good     = r.page == page && r.run == run_ && (r.writable || !write) && is_mapped(r, p2m);
        return good ? r.host + page_offset(gva) : nullptr;
    }

    // Host address of the byte, up to the end of its page; nullptr where the guest itself could not access
    // it that way.
    u8* locate(P2m& p2m, const Paging_state& paging, bool alignment_check, Gva gva, bool write)
    {
        const u64 page = gva.value() >> kPageShift;
        Pair& pair     = remembered_[page % remembered_.size()];
        Remembered& r  = pair[0].page == page ? pair[0] : pair[1];
        if (r.page == page && r.paging == paging && r.alignment_check == alignment_check &&
            (r.writable || !write) && is_mapped(r, p2m) && still_leads_there(r)) [[likely]] {
            r.run = run_;
            return r.host + page_offset(gva);
        }
        return walk(p2m, paging, alignment_check, gva, write);
    }

    [[nodiscard]] Region_cache& regions() { return regions_; }

  private:
    struct Remembered {
        u64 page = ~0ull;
        Paging_state paging{};
        u8* host             = nullptr; // of the page
        u32 generation       = 0;       // of the p2m
        u32 run              = 0;       // in which it was last found right
        bool small           = false;
        bool alignment_check = false;
        bool writable        = false;
        Walk_trace trace{};
    };

    // Two pages of the same place live side by side: a hypercall's instruction and its argument are looked
    // up by turns.
    using Pair = std::array<Remembered, 2>;
    Remembered& place_for(u64 page);

    static bool is_mapped(const Remembered& r, const P2m& p2m)
    {
        return r.generation == (r.small ? p2m.generation() : p2m.large_generation());
    }
    static bool still_leads_there(const Remembered& r)
    {
        u64 difference = 0;
#pragma GCC unroll 4
        for (unsigned i = 0; i < Walk_trace::kLevels; ++i)
            difference |= *static_cast<const volatile u64*>(r.trace.slots[i]) ^ r.trace.values[i];
        return difference == 0;
    }

    u8* walk(P2m& p2m, const Paging_state& paging, bool alignment_check, Gva gva, bool write);

    Region_cache regions_;
    std::array<Pair, 4> remembered_;
    unsigned next_victim_ = 0;
    u32 run_              = 1;
};

} // namespace vmm
