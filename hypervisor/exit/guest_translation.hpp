// SPDX-License-Identifier: Apache-2.0
//
// What a vCPU remembers about where its linear addresses lead, so that not every access walks the guest's
// page tables anew. Nothing here can be stale: a remembered walk is used only if the vCPU's paging state and
// every entry the walk went through are seen, since the vCPU last ran, to be what they were, and the p2m did
// not change what they lead to.
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

    // Host address of the byte, up to the end of its page; nullptr where the guest itself could not access
    // it that way. `cpu` has paging_is(Paging_state), paging() and alignment_check(); it is asked once in a
    // run.
    template <class Cpu>
    [[gnu::always_inline]] u8* locate(P2m& p2m, const Cpu& cpu, Gva gva, bool write)
    {
        const u64 page = gva.value() >> kPageShift;
        Pair& pair     = remembered_[page % remembered_.size()];
        Remembered& r  = pair[0].page == page ? pair[0] : pair[1];
        if (r.page != page || (write && !r.writable) || !is_mapped(r, p2m)) [[unlikely]]
            return look_and_walk(p2m, cpu, gva, write);
        if (r.run != run_) {
            look_at(cpu);
            if (r.epoch != epoch_ || !still_leads_there(r)) [[unlikely]]
                return walk(p2m, gva, write);
            r.run = run_;
        }
        return r.host + page_offset(gva);
    }

    [[nodiscard]] Region_cache& regions() { return regions_; }

  private:
    struct Remembered {
        u64 page       = ~0ull;
        u8* host       = nullptr; // of the page
        u64 epoch      = 0;       // in which the paging state was what it was for this walk
        u64 generation = 0;       // of the p2m
        u64 run        = 0;       // in which it was last found right
        bool small     = false;
        bool writable  = false;
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

    template <class Cpu>
    [[gnu::noinline]] u8* look_and_walk(P2m& p2m, const Cpu& cpu, Gva gva, bool write)
    {
        look_at(cpu);
        return walk(p2m, gva, write);
    }

    // What it finds cannot change before the vCPU runs again.
    template <class Cpu>
    [[gnu::always_inline]] void look_at(const Cpu& cpu)
    {
        if (looked_in_run_ == run_)
            return;
        looked_in_run_ = run_;
        if (alignment_check_ != cpu.alignment_check() || !cpu.paging_is(paging_)) [[unlikely]] {
            paging_          = cpu.paging();
            alignment_check_ = cpu.alignment_check();
            ++epoch_;
        }
    }

    u8* walk(P2m& p2m, Gva gva, bool write);

    Region_cache regions_;
    std::array<Pair, 4> remembered_;
    Paging_state paging_{};
    bool alignment_check_ = false;
    u64 epoch_            = 1; // goes on with each change of these two
    u64 run_              = 1;
    u64 looked_in_run_    = 0;
    unsigned next_victim_ = 0;
};

} // namespace vmm
