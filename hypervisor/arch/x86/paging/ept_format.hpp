// SPDX-License-Identifier: Apache-2.0
//
// Entries of Intel's extended page tables. Pure functions over 64-bit words, same interface as Npt_format so
// that the engine and the p2m take either. Accessed and dirty flags are as in bit 6 of EPTP enabled.
// [SDM3 29.3.2]
#pragma once

#include "base/bits.hpp"

namespace vmm
{

struct Ept_attributes {
    bool writable;
    bool executable;
    bool uncached;
    u8 kind;
};

struct Ept_format {
    static constexpr unsigned levels       = 4;
    static constexpr unsigned address_bits = 48;

    static constexpr u64 r                  = bit(0);
    static constexpr u64 w                  = bit(1);
    static constexpr u64 x                  = bit(2);
    static constexpr u64 ps                 = bit(7);
    static constexpr u64 a                  = bit(8);
    static constexpr u64 d                  = bit(9);
    static constexpr u64 target             = field(~0ull, 51, 12) << 12;
    static constexpr unsigned kind_shift    = 52;
    static constexpr unsigned memtype_shift = 3;
    static constexpr u64 uc                 = 0;
    static constexpr u64 wb                 = 6;

    static constexpr bool present(u64 entry) { return (entry & (r | w | x)) != 0; }
    static constexpr bool is_leaf(u64 entry, unsigned level) { return level == 1 || (entry & ps) != 0; }
    static constexpr bool is_written(u64 entry) { return (entry & d) != 0; }
    static constexpr u8 kind(u64 entry) { return static_cast<u8>(field(entry, 55, kind_shift)); }
    static constexpr Hpa table_address(u64 entry) { return Hpa(entry & target); }
    static constexpr Hpa leaf_address(u64 entry) { return Hpa(entry & target); }

    static constexpr u64 table(Hpa at) { return at.value() | r | w | x; }
    static constexpr u64 leaf(Hpa at, unsigned level, Ept_attributes attributes)
    {
        return at.value() | r | (attributes.writable ? w : 0) | (attributes.executable ? x : 0) |
               (attributes.uncached ? uc : wb) << memtype_shift | (level > 1 ? ps : 0) |
               u64{attributes.kind} << kind_shift;
    }
    static constexpr u64 split(u64 entry, unsigned level, unsigned index)
    {
        const u64 offset = u64{index} << (kPageShift + (level - 2) * 9);
        return (level == 2 ? entry & ~ps : entry) + offset;
    }
};

static_assert(Ept_format::address_bits == kPageShift + 9 * Ept_format::levels);
static_assert(!Ept_format::present(0));
static_assert(Ept_format::kind(Ept_format::leaf(Hpa(0x1000), 1, {true, true, false, 7})) == 7);
static_assert(Ept_format::split(Ept_format::leaf(Hpa(0x200000), 2, {true, true, false, 1}), 2, 511) ==
              Ept_format::leaf(Hpa(0x3ff000), 1, {true, true, false, 1}));

} // namespace vmm
