// SPDX-License-Identifier: Apache-2.0
//
// What a vCPU remembers about where its memory is. `regions` is about guest-physical memory and is always
// right. The last guest page a hypercall touched is remembered by its linear address: as in a CPU's own TLB
// the translation may be older than the guest's tables, but only within one exit: it is used while a
// Guest_access_scope exists (the hypercall dispatcher makes one), and only as long as the p2m took nothing
// away meanwhile.
#pragma once

#include "mm/region_cache.hpp"

namespace vmm
{

struct Guest_translation {
    u64 page       = 0; // linear page number
    u8* host       = nullptr;
    u32 generation = 0; // of the p2m; 0 is none
    bool writable  = false;
    bool enabled   = false;
    Region_cache regions;
};

} // namespace vmm
