// SPDX-License-Identifier: Apache-2.0
//
// The log of writes to a domain's memory. A take clears bits in entries that CPUs may have cached: it
// advances the generation as whatever takes something away does, so a write that a CPU does not note before
// that has reached the page when the caller sees what was logged.
#include "mm/frame_allocator.hpp"
#include "mm/p2m.hpp"

namespace vmm
{

namespace
{

template <class Visit>
void for_each_entry(Hpa table, Visit visit)
{
    for (unsigned i = 0; i < kEntriesPerTable; ++i)
        visit(i, table + i * sizeof(u64));
}

} // namespace

bool P2m::read_entry(Hpa at, Log_access access, Flush& flush)
{
    const bool take = access == Log_access::take;
    const u64 entry = Direct_memory::read(at);
    if (!Nested_format::present(entry)) {
        if (entry == kWentWhileLogged && take)
            Direct_memory::write(at, 0);
        return entry == kWentWhileLogged;
    }
    // Who writes what is in common has a frame of its own there, which is new.
    if (type_of(entry) != P2m_type::ram)
        return false;
    const Mfn mfn     = to_mfn(Nested_format::leaf_address(entry));
    const bool by_cpu = Nested_format::is_logged(entry);
    if (by_cpu && take) {
        frames.note_written(mfn);
        Direct_memory::clear(at, Nested_format::places.log);
    }
    const bool written = frames.is_logged(mfn, take) || by_cpu;
    if (written && take)
        flush = Flush::small;
    return written;
}

Expected<void> P2m::prepare_log(Gfn region)
{
    const Lock_guard guard(lock_);
    auto at = place(region);
    if (at.level > 1 && !is_ram(type_of(at.entry)))
        return {};
    at          = TRY(split_down(region, 1));
    Flush flush = Flush::none;
    for_each_entry(Table::table_of(at),
                   [&](unsigned, Hpa entry) { read_entry(entry, Log_access::take, flush); });
    forgotten(flush);
    return {};
}

void P2m::read_log(Gfn region, Log_access access, Region_log& log)
{
    const Lock_guard guard(lock_);
    auto at         = place(region);
    const bool take = access == Log_access::take;
    const bool went = at.level > 1 && at.entry == kWentWhileLogged;
    const bool came = at.level > 1 && is_ram(type_of(at.entry));
    log.fill(went || came ? ~0ull : 0);
    if (went && take)
        Direct_memory::write(at.at, 0);
    if (came && take)
        at = split_down(region, 1).value_or(at);
    if (at.level > 1)
        return;
    Flush flush = Flush::none;
    for_each_entry(Table::table_of(at), [&](unsigned i, Hpa entry) {
        if (read_entry(entry, access, flush))
            log[i / 64] |= bit(i % 64);
    });
    forgotten(flush);
}

u64 P2m::silent_frames(Gfn region) const
{
    const auto at = place(region);
    if (at.level == 1 || at.entry != 0)
        return 0;
    return pages_left(region.value(), at.level);
}

void P2m::permit_write(Gfn gfn)
{
    if (!Nested_format::logs_by_rights())
        return;
    const Lock_guard guard(lock_);
    const auto at = place(gfn);
    if (is_writable(type_of(at.entry)))
        Direct_memory::set(at.at, Nested_format::places.writable);
}

void P2m::restore_entry(Hpa at)
{
    const u64 entry = Direct_memory::read(at);
    if (entry == kWentWhileLogged)
        Direct_memory::write(at, 0);
    else if (Nested_format::logs_by_rights() && type_of(entry) == P2m_type::ram)
        Direct_memory::set(at, Nested_format::places.writable);
}

// Only of what is the domain's own: the hypervisor's frames that it sees have holds of their own, and a large
// leaf is let go of as one. The frames count as written, for what the CPU notes in the small leaves until
// they are gone would be lost.
void P2m::merge_region(Gfn region, Hpa table)
{
    const Mfn first = to_mfn(Nested_format::leaf_address(Direct_memory::read(table)));
    bool whole      = is_aligned(first.value(), kRegionFrames);
    for_each_entry(table, [&](unsigned i, Hpa at) {
        const u64 entry = Direct_memory::read(at);
        whole &= type_of(entry) == P2m_type::ram && to_mfn(Nested_format::leaf_address(entry)) == first + i &&
                 frames.state(first + i) == Frame_state::owned && frames.owner(first + i) == owner_;
    });
    if (!whole)
        return;
    for (unsigned i = 0; i < kRegionFrames; ++i)
        frames.note_written(first + i);
    // It replaces a table by a leaf, so it needs no memory and cannot fail.
    static_cast<void>(set_one(region, first, 2, P2m_type::ram));
}

void P2m::restore_after_log(Gfn region)
{
    const Lock_guard guard(lock_);
    const auto at = place(region);
    if (at.level > 1)
        return restore_entry(at.at);
    for_each_entry(Table::table_of(at), [&](unsigned, Hpa entry) { restore_entry(entry); });
    merge_region(region, Table::table_of(at));
}

} // namespace vmm
