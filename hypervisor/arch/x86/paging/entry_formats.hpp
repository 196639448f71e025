// SPDX-License-Identifier: Apache-2.0
//
// What page-table entries look like: the hypervisor's own, and those of the tables that guests run on, AMD's
// nested or Intel's extended ones (accessed and dirty flags as in bit 6 of EPTP enabled). Pure functions over
// 64-bit words, one interface, so that mm/page_table.hpp takes any.
// [APM2 5.3, 15.25.5; SDM3 4.5, 29.3.2]
#pragma once

#include "base/bits.hpp"

namespace vmm
{

struct Leaf_attributes {
    bool writable;
    bool executable;
    bool uncached;
    u8 kind = 0; // 0..15, kept for the owner of the table
};

// What all of them share: the geometry, the address, the mark of a large leaf, four bits for software.
struct Entry_format {
    static constexpr unsigned levels       = 4;
    static constexpr unsigned address_bits = 48;
    static constexpr unsigned largest_leaf() { return 3; } // its level: 1 GiB

    static constexpr u64 ps              = bit(7); // in levels 2 and 3: a leaf
    static constexpr u64 target          = field(~0ull, 51, 12) << 12;
    static constexpr unsigned kind_shift = 52;

    static constexpr bool is_leaf(u64 entry, unsigned level) { return level == 1 || (entry & ps) != 0; }
    static constexpr u8 kind(u64 entry) { return static_cast<u8>(field(entry, 55, kind_shift)); }
    static constexpr Hpa table_address(u64 entry) { return Hpa(entry & target); }
    static constexpr Hpa leaf_address(u64 entry) { return Hpa(entry & target); }

    // The entry number `index` of the table that replaces a leaf of `level`.
    static constexpr u64 split(u64 entry, unsigned level, unsigned index)
    {
        const u64 offset = u64{index} << (kPageShift + (level - 2) * 9);
        return (level == 2 ? entry & ~ps : entry) + offset;
    }

  protected:
    // A leaf without its rights.
    static constexpr u64 bare_leaf(Hpa at, unsigned level, Leaf_attributes attributes)
    {
        return at.value() | (level > 1 ? ps : 0) | u64{attributes.kind} << kind_shift;
    }
};

// The hypervisor's own: the long-mode format, supervisor only, and nothing both writable and executable.
struct Host_format : Entry_format {
    inline static constinit unsigned largest = 3; // level of a leaf: 2 where the CPU has none of 1 GiB
    static unsigned largest_leaf() { return largest; }

    static constexpr u64 p   = bit(0);
    static constexpr u64 rw  = bit(1);
    static constexpr u64 pwt = bit(3);
    static constexpr u64 pcd = bit(4);
    static constexpr u64 a   = bit(5);
    static constexpr u64 d   = bit(6);
    static constexpr u64 g   = bit(8);
    static constexpr u64 nx  = bit(63);

    static constexpr bool present(u64 entry) { return (entry & p) != 0; }
    static constexpr u64 table(Hpa at) { return at.value() | p | rw | a; }
    static constexpr u64 leaf(Hpa at, unsigned level, Leaf_attributes attributes)
    {
        const bool executable = attributes.executable && !attributes.writable;
        return bare_leaf(at, level, attributes) | p | a | d | g | (attributes.writable ? rw : 0) |
               (executable ? 0 : nx) | (attributes.uncached ? pcd | pwt : 0);
    }
};

// What the firmware's own code runs on. It may want to write where it is executed; what is in force only while
// that runs must not stay in a TLB, so nothing is global.
struct Firmware_format : Host_format {
    static constexpr u64 leaf(Hpa at, unsigned level, Leaf_attributes attributes)
    {
        return bare_leaf(at, level, attributes) | p | a | d | (attributes.writable ? rw : 0) |
               (attributes.executable ? 0 : nx) | (attributes.uncached ? pcd | pwt : 0);
    }
};

// The tables that guests run on, in the format of the CPU at hand. A table's entry is the same in both: what
// differs is where a leaf's attributes stand, and those places are data, chosen once at boot.
struct Nested_format : Entry_format {
    struct Places {
        u64 bare;                           // present, read-only, not executable, cached
        u64 writable, executable, uncached; // the bits that change when the attribute holds
        u64 dirty;                          // all of these: the page was written
        u64 log;                            // what is set when a page is written while writes are logged
        unsigned largest_leaf;              // 2 where the CPU has no leaves of 1 GiB
    };
    // The long-mode format, where every access counts as a user access. [APM2 5.3, 15.25.5]
    static constexpr Places npt{.bare         = bit(0) | bit(2) | bit(63),
                                .writable     = bit(1),
                                .executable   = bit(63),
                                .uncached     = bit(3) | bit(4),
                                .dirty        = bit(6),
                                .log          = bit(6),
                                .largest_leaf = Entry_format::largest_leaf()};
    // Write-back is 6 in the field of the memory type, uncached 0. [SDM3 29.3.2]
    static constexpr Places ept{.bare         = bit(0) | 6u << 3,
                                .writable     = bit(1),
                                .executable   = bit(2),
                                .uncached     = 6u << 3,
                                .dirty        = bit(9),
                                .log          = bit(9),
                                .largest_leaf = Entry_format::largest_leaf()};
    inline static constinit Places places = npt;

    static unsigned largest_leaf() { return places.largest_leaf; }
    static bool present(u64 entry) { return (entry & bit(0)) != 0; }
    static bool is_written(u64 entry) { return (entry & places.dirty) == places.dirty; }
    // Written since the log bit was taken: by the dirty flag, or, on a CPU that has none, by the right to
    // write, which a page that is logged gets with the first write to it.
    static bool is_logged(u64 entry) { return (entry & places.log) != 0; }
    static bool is_executable(u64 entry) { return ((entry ^ places.bare) & places.executable) != 0; }
    static bool logs_by_rights() { return places.log == places.writable; }
    static u64 table(Hpa at) { return at.value() | bit(0) | bit(1) | bit(2); }
    static u64 leaf(Hpa at, unsigned level, Leaf_attributes attributes)
    {
        return bare_leaf(at, level, attributes) | (places.bare ^ (attributes.writable ? places.writable : 0) ^
                                                   (attributes.executable ? places.executable : 0) ^
                                                   (attributes.uncached ? places.uncached : 0));
    }
};

static_assert(Entry_format::address_bits == kPageShift + 9 * Entry_format::levels);
static_assert(Host_format::kind(Host_format::leaf(Hpa(0x1000), 1, {true, true, false, 9})) == 9);
static_assert(Host_format::split(Host_format::leaf(Hpa(0x200000), 2, {true, true, false, 1}), 2, 511) ==
              Host_format::leaf(Hpa(0x3ff000), 1, {true, true, false, 1}));
static_assert(Host_format::split(Host_format::leaf(Hpa(0x40000000), 3, {false, false, false, 2}), 3, 1) ==
              Host_format::leaf(Hpa(0x40200000), 2, {false, false, false, 2}));
static_assert(!Host_format::is_leaf(Host_format::table(Hpa(0x1000)), 2));
static_assert((Host_format::leaf(Hpa(0), 1, {true, true, false}) & Host_format::nx) != 0, "never W and X");

} // namespace vmm
