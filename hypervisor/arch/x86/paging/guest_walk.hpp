// SPDX-License-Identifier: Apache-2.0
//
// What the CPU would make of a guest linear address: a walk of the guest's own page tables, through its p2m,
// with the CPU's permission checks and its accessed and dirty bits. All of the guest's paging modes: off,
// 32-bit, PAE, 4 and 5 levels. It reads the guest's memory, decides, and maps nothing; data accesses only.
// [APM2 5.3-5.6, SDM3 4.6]
#pragma once

#include "base/expected.hpp"
#include "domain/registers.hpp"

#include <array>

namespace vmm
{

class P2m;
class Region_cache;

struct Guest_walk {
    Gpa gpa;       // of the very byte
    bool writable; // a write would need neither another check nor a dirty bit
};

// The entries a walk went through and what they said, accessed and dirty bits included: as long as they say
// the same, the walk would end the same. Four levels of 64-bit entries; a walk of another kind leaves
// `complete` false. A walk that ended early repeats its last entry.
struct Walk_trace {
    static constexpr unsigned kLevels = 4;

    std::array<const u64*, kLevels> slots;
    std::array<u64, kLevels> values;
    bool complete = false;
};

// Efault where the CPU would raise an exception, or where the tables are not in the guest's memory.
Expected<Guest_walk> walk_guest(P2m& p2m, Region_cache& regions, const Paging_state& paging,
                                bool alignment_check, Gva gva, bool write, Walk_trace& trace);

} // namespace vmm
