// SPDX-License-Identifier: Apache-2.0
//
// Entries of AMD's nested page tables: the long-mode format, where every access counts as a user access.
// Pure functions over 64-bit words. The bits software may use (55:52) carry the kind of the mapping.
// [APM2 5.3, 15.25.5]
#pragma once

#include "base/bits.hpp"

namespace vmm
{

struct Npt_attributes {
    bool writable;
    bool executable;
    bool uncached;
    u8 kind; // 0..15, kept for the owner of the table
};

struct Npt_format {
    static constexpr unsigned levels       = 4;
    static constexpr unsigned address_bits = 48;

    static constexpr u64 p               = bit(0);
    static constexpr u64 rw              = bit(1);
    static constexpr u64 us              = bit(2);
    static constexpr u64 pwt             = bit(3);
    static constexpr u64 pcd             = bit(4);
    static constexpr u64 a               = bit(5);
    static constexpr u64 d               = bit(6);
    static constexpr u64 ps              = bit(7); // in levels 2 and 3: a leaf
    static constexpr u64 nx              = bit(63);
    static constexpr u64 target          = field(~0ull, 51, 12) << 12;
    static constexpr unsigned kind_shift = 52;

    static constexpr bool present(u64 entry) { return (entry & p) != 0; }
    static constexpr bool is_leaf(u64 entry, unsigned level) { return level == 1 || (entry & ps) != 0; }
    static constexpr bool is_written(u64 entry) { return (entry & d) != 0; }
    static constexpr u8 kind(u64 entry) { return static_cast<u8>(field(entry, 55, kind_shift)); }

    static constexpr Hpa table_address(u64 entry) { return Hpa(entry & target); }
    static constexpr Hpa leaf_address(u64 entry) { return Hpa(entry & target); }

    static constexpr u64 table(Hpa at) { return at.value() | p | rw | us | a; }
    static constexpr u64 leaf(Hpa at, unsigned level, Npt_attributes attributes)
    {
        return at.value() | p | us | (attributes.writable ? rw : 0) | (attributes.executable ? 0 : nx) |
               (attributes.uncached ? pcd | pwt : 0) | (level > 1 ? ps : 0) |
               u64{attributes.kind} << kind_shift;
    }
    // The entry number `index` of the table that replaces a leaf of `level`.
    static constexpr u64 split(u64 entry, unsigned level, unsigned index)
    {
        const u64 offset = u64{index} << (kPageShift + (level - 2) * 9);
        return ((level == 2 ? entry & ~ps : entry)) + offset;
    }
};

static_assert(Npt_format::target == 0x000ffffffffff000);
static_assert(Npt_format::address_bits == kPageShift + 9 * Npt_format::levels);
static_assert(Npt_format::kind(Npt_format::leaf(Hpa(0x1000), 1, {true, true, false, 9})) == 9);
static_assert(Npt_format::leaf_address(Npt_format::leaf(Hpa(0x40000000), 3, {true, true, true, 15})) ==
              Hpa(0x40000000));
static_assert(Npt_format::split(Npt_format::leaf(Hpa(0x200000), 2, {true, true, false, 1}), 2, 511) ==
              Npt_format::leaf(Hpa(0x3ff000), 1, {true, true, false, 1}));
static_assert(Npt_format::split(Npt_format::leaf(Hpa(0x40000000), 3, {false, false, false, 2}), 3, 1) ==
              Npt_format::leaf(Hpa(0x40200000), 2, {false, false, false, 2}));
static_assert(!Npt_format::is_leaf(Npt_format::table(Hpa(0x1000)), 2));

} // namespace vmm
