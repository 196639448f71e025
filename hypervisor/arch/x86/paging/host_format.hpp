// SPDX-License-Identifier: Apache-2.0
//
// Entries of the hypervisor's own page tables: long mode, four levels, supervisor only. Pure functions over
// 64-bit words; policy (nothing both writable and executable) is the caller's and is checked here once.
// [APM2 5.3, SDM3 4.5]
#pragma once

#include "base/bits.hpp"

namespace vmm
{

struct Host_attributes {
    bool writable;
    bool executable;
    bool uncached;
};

struct Host_format {
    static constexpr unsigned levels       = 4;
    static constexpr unsigned address_bits = 48;

    static constexpr u64 p      = bit(0);
    static constexpr u64 rw     = bit(1);
    static constexpr u64 pwt    = bit(3);
    static constexpr u64 pcd    = bit(4);
    static constexpr u64 a      = bit(5);
    static constexpr u64 d      = bit(6);
    static constexpr u64 ps     = bit(7);
    static constexpr u64 g      = bit(8);
    static constexpr u64 nx     = bit(63);
    static constexpr u64 target = field(~0ull, 51, 12) << 12;

    static constexpr bool present(u64 entry) { return (entry & p) != 0; }
    static constexpr bool is_leaf(u64 entry, unsigned level) { return level == 1 || (entry & ps) != 0; }
    static constexpr Hpa table_address(u64 entry) { return Hpa(entry & target); }
    static constexpr Hpa leaf_address(u64 entry) { return Hpa(entry & target); }

    static constexpr u64 table(Hpa at) { return at.value() | p | rw | a; }
    static constexpr u64 leaf(Hpa at, unsigned level, Host_attributes attributes)
    {
        const bool executable = attributes.executable && !attributes.writable;
        return at.value() | p | a | d | g | (attributes.writable ? rw : 0) | (executable ? 0 : nx) |
               (attributes.uncached ? pcd | pwt : 0) | (level > 1 ? ps : 0);
    }
    static constexpr u64 split(u64 entry, unsigned level, unsigned index)
    {
        const u64 offset = u64{index} << (kPageShift + (level - 2) * 9);
        return (level == 2 ? entry & ~ps : entry) + offset;
    }
};

static_assert(Host_format::address_bits == kPageShift + 9 * Host_format::levels);
static_assert((Host_format::leaf(Hpa(0), 1, {true, true, false}) & Host_format::nx) != 0, "never W and X");
static_assert(Host_format::split(Host_format::leaf(Hpa(0x200000), 2, {true, false, false}), 2, 3) ==
              Host_format::leaf(Hpa(0x203000), 1, {true, false, false}));

} // namespace vmm
