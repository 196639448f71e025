// SPDX-License-Identifier: Apache-2.0
//
// Where a vCPU's recently used guest-physical memory is, in regions of 2 MiB that one mapping of the domain's
// own writable memory covers. It makes looking at the guest's page tables cheap. An entry is good as long
// as the p2m changed no large mapping (large_generation); smaller mappings are always looked up. Belongs to
// one vCPU and is used only by the CPU that runs it.
#pragma once

#include "mm/p2m.hpp"

#include <array>

namespace vmm
{

class Region_cache
{
  public:
    enum class Access : u8 {
        read,
        write,       // what is in common with other domains becomes the domain's own
        if_writable, // as it is: nullptr where write would do more than look
    };

    // Host address of a guest-physical byte; the rest of its page follows. nullptr where there is no memory
    // that may be accessed that way.
    u8* locate(P2m& p2m, u64 gpa, Access access)
    {
        const u64 number = gpa >> kRegionShift;
        const Region& r  = regions_[number % kRegions];
        if (r.number == number && generation_ == p2m.large_generation()) [[likely]]
            return r.host + (gpa & low_bits(kRegionShift));
        return locate_slowly(p2m, gpa, access);
    }

    // Whether something was located since begin() that is not part of a large mapping: what was found then
    // is good only until the p2m changes at all.
    void begin() { small_ = false; }
    [[nodiscard]] bool small() const { return small_; }

  private:
    static constexpr unsigned kRegionShift = kPageShift + kOrder2m;
    static constexpr unsigned kRegions     = 16;

    struct Region {
        u64 number = ~0ull;
        u8* host   = nullptr;
    };

    u8* locate_slowly(P2m& p2m, u64 gpa, Access access);

    std::array<Region, kRegions> regions_;
    u64 generation_ = 0;
    bool small_     = false;
};

} // namespace vmm
