// SPDX-License-Identifier: Apache-2.0
//
// The one page-table engine. Format says what an entry looks like (arch/x86/paging), Memory reads and writes
// entries, Tables supplies and takes back zeroed 4 KiB tables. The engine maps, clears and looks up; it owns
// only the tables below the root and keeps no state of its own. Pages are numbered (address >> 12), levels
// count from 1 (4 KiB leaves), 2 (2 MiB), 3 (1 GiB).
//
// Two promises, both tested with a memory that remembers every write: at no moment does a walk find a
// half-built state (a table is complete before it is linked, a leaf is one 64-bit store), and nothing is
// flushed in secret: an operation that took something away says so by the Flush it returns, and tables that
// fell out of the tree are given back only through Tables::free, which the supplier may delay until that
// flush.
#pragma once

#include "base/bits.hpp"
#include "base/panic.hpp"

#include <algorithm>
#include <atomic>

namespace vmm
{

inline constexpr unsigned kLevelBits       = 9;
inline constexpr unsigned kEntriesPerTable = 1u << kLevelBits;

constexpr unsigned level_order(unsigned level) { return (level - 1) * kLevelBits; }
constexpr u64 level_pages(unsigned level) { return bit(level_order(level)); }
// Of those that an entry of `level` speaks of, from `page` on.
constexpr u64 pages_left(u64 page, unsigned level)
{
    return level_pages(level) - (page & low_bits(level_order(level)));
}
// The largest leaf (level 1 to `largest`) that can start at `alignment` (pages, or frames and pages or-ed)
// and holds at most `count` pages.
constexpr unsigned leaf_level(u64 alignment, u64 count, unsigned largest = 3)
{
    return piece_order(alignment, count, level_order(largest)) / kLevelBits + 1;
}

// What an operation took away: single pages at most, or of a leaf or a table above level 1, perhaps to put
// smaller leaves in its place.
enum class [[nodiscard]] Flush : u8{none, small, large};
constexpr Flush operator|(Flush a, Flush b) { return std::max(a, b); }

template <class Format, class Memory, class Tables>
class Page_table
{
  public:
    // What speaks of a page, and where it stands; what is not present may be a note of the owner's.
    struct Place {
        Hpa at;
        u64 entry;
        unsigned level;
    };

    Page_table(Hpa root, Tables& tables) : root_(root), tables_(tables) {}

    // The lowest entry that says something about `page`. Part of its caller: it is what looking something up
    // and mapping a grant live on.
    [[nodiscard, gnu::always_inline]] static Place place(Hpa root, u64 page)
    {
        Hpa at    = slot(root, page, Format::levels);
        u64 entry = Memory::read(at);
#pragma GCC unroll 5
        for (unsigned level = Format::levels; level > 1; --level) {
            if (!Format::present(entry)) [[unlikely]]
                return {at, entry, level};
            if (level <= 3 && Format::is_leaf(entry, level))
                return {at, entry, level};
            at    = slot(Format::table_address(entry), page, level - 1);
            entry = Memory::read(at);
        }
        return {at, entry, 1};
    }

    // The entry for `page` at `level` becomes `leaf`, whatever was there or below. Enomem changes nothing.
    Expected<Flush> set(u64 page, unsigned level, u64 leaf) { return replace(page, level, leaf, true); }

    // Nothing is mapped at `page` for the extent of a leaf of `level`, where `absent` is left, if not 0, as a
    // note: an entry that is not present. Enomem (a larger leaf could not be split) changes nothing.
    Expected<Flush> clear(u64 page, unsigned level, u64 absent = 0)
    {
        return replace(page, level, absent, false);
    }

    // A leaf above level 1 becomes a table of smaller ones with the same meaning. Enomem changes nothing.
    Expected<Flush> split(const Place& leaf)
    {
        TRY(split(leaf.at, leaf.entry, leaf.level));
        return Flush::large;
    }

    // Maps [page, page + count) to frames from `frame` in the largest leaves that fit. On enomem what was
    // mapped so far stays.
    template <class Attributes>
    Expected<Flush> map(u64 page, u64 frame, u64 count, Attributes attributes)
    {
        Flush flush = Flush::none;
        while (count > 0) {
            const unsigned level = leaf_level(page | frame, count, Format::largest_leaf());
            flush = flush | TRY(set(page, level, Format::leaf(Hpa(frame << kPageShift), level, attributes)));
            page += level_pages(level);
            frame += level_pages(level);
            count -= level_pages(level);
        }
        return flush;
    }

    // The table that an entry stands in.
    static Hpa table_of(const Place& entry) { return Hpa(align_down(entry.at.value(), kPageSize)); }

    static Hpa slot(Hpa table, u64 page, unsigned level)
    {
        return table + ((page >> level_order(level)) & (kEntriesPerTable - 1)) * sizeof(u64);
    }

  private:
    Expected<Flush> replace(u64 page, unsigned level, u64 leaf, bool grow)
    {
        Hpa table   = root_;
        Flush flush = Flush::none;
        for (unsigned l = Format::levels; l > level; --l) {
            const Hpa at = slot(table, page, l);
            u64 entry    = Memory::read(at);
            if (!Format::present(entry)) {
                if (!grow)
                    return flush;
                entry = Format::table(TRY(make_table(entry)));
                Memory::write(at, entry);
            } else if (Format::is_leaf(entry, l)) {
                entry = TRY(split(at, entry, l));
                flush = Flush::large;
            }
            table = Format::table_address(entry);
        }
        const u64 old = Memory::exchange(slot(table, page, level), leaf);
        if (!Format::present(old))
            return flush;
        if (!Format::is_leaf(old, level))
            retire(Format::table_address(old), level - 1);
        return flush | (level > 1 ? Flush::large : Flush::small);
    }

    // A table where `absent` was: a note there goes to all that the table speaks of.
    Expected<Hpa> make_table(u64 absent)
    {
        const Hpa table = TRY(tables_.allocate());
        for (unsigned i = 0; absent != 0 && i < kEntriesPerTable; ++i)
            Memory::write(table + i * sizeof(u64), absent);
        return table;
    }

    // A leaf becomes a table of leaves one level down with the same meaning, in one store. The CPU may note
    // an access in the leaf until that very store; such a note goes to all the smaller ones.
    Expected<u64> split(Hpa at, u64 leaf, unsigned level)
    {
        const Hpa table = TRY(tables_.allocate());
        for (unsigned i = 0; i < kEntriesPerTable; ++i)
            Memory::write(table + i * sizeof(u64), Format::split(leaf, level, i));
        const u64 last = Memory::exchange(at, Format::table(table));
        if (last != leaf) [[unlikely]] {
            for (unsigned i = 0; i < kEntriesPerTable; ++i)
                Memory::write(table + i * sizeof(u64), Format::split(last, level, i));
        }
        return Format::table(table);
    }

    // Gives back a table of `level` and all below it.
    void retire(Hpa table, unsigned level)
    {
        for (unsigned i = 0; level > 1 && i < kEntriesPerTable; ++i) {
            const u64 entry = Memory::read(table + i * sizeof(u64));
            if (Format::present(entry) && !Format::is_leaf(entry, level))
                retire(Format::table_address(entry), level - 1);
        }
        tables_.free(table);
    }

    Hpa root_;
    Tables& tables_;
};

} // namespace vmm
