// SPDX-License-Identifier: Apache-2.0
#include "mm/p2m.hpp"

#include "arch/x86/intr/ipi.hpp"
#include "base/per_cpu.hpp"
#include "mm/frame_allocator.hpp"

namespace vmm
{
namespace
{

[[gnu::always_inline]] inline u64 make_leaf(Mfn mfn, unsigned level, P2m_type type, bool executable)
{
    const Leaf_attributes attributes{.writable   = is_writable(type),
                                     .executable = executable,
                                     .uncached   = false,
                                     .kind       = static_cast<u8>(type)};
    const u64 leaf = Nested_format::leaf(to_hpa(mfn), level, attributes);
    // Whether it is ever written through a foreign mapping is found out on every CPU: whoever owns the page
    // may log its writes.
    return type == P2m_type::foreign ? leaf & ~Nested_format::places.log : leaf;
}

bool was_written(u64 entry)
{
    return type_of(entry) == P2m_type::foreign ? Nested_format::is_logged(entry)
                                               : Nested_format::is_written(entry);
}

// How much of a teardown is done between two chances to do something else, in entries looked at.
constexpr u64 kDestroyBudget = 2048;

} // namespace

Expected<Hpa> P2m::Tables::allocate()
{
    if (used >= limit)
        return fail(Errc::enomem);
    const Mfn mfn = TRY(frames.allocate(0));
    ++used;
    return to_hpa(mfn);
}

void P2m::Tables::free(Hpa table)
{
    --used;
    frames.frame(to_mfn(table)).next = std::exchange(fallen_out, static_cast<u32>(to_mfn(table).value()));
}

void P2m::Tables::give_back()
{
    while (fallen_out != kNone) {
        const Mfn mfn(std::exchange(fallen_out, frames.frame(Mfn(fallen_out)).next));
        frames.free(mfn, 0);
    }
}

Expected<Unique<P2m>> P2m::create(Domid owner, Memory_account* account, u64 table_limit)
{
    auto p2m   = TRY(make_unique<P2m>(owner, account, table_limit));
    p2m->root_ = to_mfn(TRY(p2m->tables_.allocate()));
    return p2m;
}

P2m::~P2m()
{
    if (root_ == kInvalidMfn)
        return;
    while (!destroy_some()) {
    }
    tables_.free(to_hpa(root_));
    tables_.give_back();
    ASSERT(tables_.used == 0);
}

// Each CPU compares generations before it enters the guest; those that are in it leave it, before the caller
// gives the frames away.
void P2m::forgotten(Flush flush)
{
    if (flush == Flush::none)
        return;
    changed(flush);
    forget_everywhere();
    tables_.give_back();
}

void P2m::changed(Flush flush)
{
    if (flush == Flush::large)
        large_generation_.fetch_add(1, std::memory_order_acq_rel);
}

void P2m::forget_everywhere()
{
    generation_.fetch_add(1, std::memory_order_seq_cst);
    if (const u64 others = cpus_.load(std::memory_order_seq_cst) & ~bit(this_cpu())) [[unlikely]]
        make_leave_guest(others);
}

Expected<void> P2m::set_one(Gfn gfn, Mfn mfn, unsigned level, P2m_type type)
{
    u64 leaf = make_leaf(mfn, level, type, level == 1 || executes_large());
    if (logs_writes() && type == P2m_type::ram)
        leaf |= Nested_format::places.log; // it is not what was there before
    const auto flush = table().set(gfn.value(), level, leaf);
    if (!flush)
        return fail(flush.error());
    forgotten(*flush);
    const Gfn last = gfn + (level_pages(level) - 1);
    if (last > max_gfn_)
        max_gfn_ = last;
    return {};
}

bool P2m::is_hole(Gfn gfn, u64 count) const
{
    const Gfn end = gfn + count;
    while (gfn < end) {
        const auto at = place(gfn);
        if (Nested_format::present(at.entry))
            return false;
        gfn = gfn + pages_left(gfn.value(), at.level);
    }
    return true;
}

Expected<void> P2m::set(Gfn gfn, Mfn mfn, unsigned order, P2m_type type, Where where)
{
    const u64 count = bit(order);
    if (!is_aligned(gfn.value() | mfn.value(), count) || !in_range(gfn) || !in_range(gfn + (count - 1)))
        return fail(Errc::einval);
    const Lock_guard guard(lock_);
    if (where == Where::in_hole && !is_hole(gfn, count))
        return fail(Errc::eexist);
    const unsigned level = leaf_level(0, count, Nested_format::largest_leaf());
    for (u64 done = 0; done < count; done += level_pages(level))
        TRY(set_one(gfn + done, mfn + done, level, type));
    return {};
}

Expected<void> P2m::set_identity(Gfn first, u64 count, P2m_type type)
{
    if (count == 0)
        return {};
    if (!in_range(first) || count > kLastGfn - first.value() + 1)
        return fail(Errc::einval);
    const Lock_guard guard(lock_);
    u64 page = first.value();
    while (count > 0) {
        const unsigned level = leaf_level(page, count, Nested_format::largest_leaf());
        TRY(set_one(Gfn(page), Mfn(page), level, type));
        page += level_pages(level);
        count -= level_pages(level);
    }
    return {};
}

Expected<void> P2m::remove(Gfn gfn, unsigned order)
{
    const Lock_guard guard(lock_);
    forgotten(TRY(clear(gfn, order)));
    return {};
}

Expected<void> P2m::remove_quietly(Gfn gfn, unsigned order)
{
    const Lock_guard guard(lock_);
    changed(TRY(clear(gfn, order)));
    return {};
}

Expected<Flush> P2m::clear(Gfn gfn, unsigned order)
{
    const u64 count = bit(order);
    if (!is_aligned(gfn.value(), count) || !in_range(gfn) || !in_range(gfn + (count - 1)))
        return fail(Errc::einval);
    // What goes while writes are logged leaves a note, which read_log() understands up to level 2.
    const unsigned level = leaf_level(0, count, logs_writes() ? 2 : 3);
    const u64 absent     = logs_writes() ? kWentWhileLogged : 0;
    Flush flush          = Flush::none;
    for (u64 done = 0; done < count; done += level_pages(level)) {
        const auto cleared = table().clear(gfn.value() + done, level, absent);
        if (!cleared) {
            forgotten(flush);
            return fail(cleared.error());
        }
        flush = flush | *cleared;
    }
    return flush;
}

void P2m::forget_removed()
{
    const Lock_guard guard(lock_);
    forgotten(Flush::small);
}

// What speaks of gfn, after a leaf above `level` that it is part of became smaller ones.
Expected<P2m::Table::Place> P2m::split_down(Gfn gfn, unsigned level)
{
    for (;;) {
        const auto at = place(gfn);
        if (at.level <= level || !Nested_format::present(at.entry))
            return at;
        forgotten(TRY(table().split(at)));
        if (at.level == 2 && type_of(at.entry) == P2m_type::ram_common)
            use_promised_table();
    }
}

Expected<void> P2m::add_page(Gfn gfn, Mfn mfn, P2m_type type)
{
    if (!in_range(gfn)) [[unlikely]]
        return fail(Errc::einval);
    const Lock_guard guard(lock_);
    const auto at    = Table::place(to_hpa(root_), gfn.value());
    const bool there = Nested_format::present(at.entry);
    if (there && !is_mmio(type_of(at.entry)))
        return fail(Errc::eexist);
    if (there || at.level > 1) [[unlikely]]
        return set_one(gfn, mfn, 1, type);
    Direct_memory::write(at.at, make_leaf(mfn, 1, type, true));
    if (gfn > max_gfn_)
        max_gfn_ = gfn;
    return {};
}

Expected<void> P2m::remove_page(Gfn gfn, Mfn mfn, P2m_type type)
{
    if (!in_range(gfn)) [[unlikely]]
        return fail(Errc::einval);
    const Lock_guard guard(lock_);
    const auto at = Table::place(to_hpa(root_), gfn.value());
    if (at.level > 1 || type_of(at.entry) != type || Nested_format::leaf_address(at.entry) != to_hpa(mfn))
        return fail(Errc::einval);
    Direct_memory::write(at.at, 0);
    return {};
}

[[gnu::noinline]] P2m::Table::Place P2m::place(Gfn gfn) const
{
    return Table::place(to_hpa(root_), gfn.value());
}

P2m_entry P2m::lookup(Gfn gfn) const
{
    if (!in_range(gfn)) [[unlikely]]
        return {kInvalidMfn, P2m_type::invalid, 0, false};
    const auto [at, entry, level] = Table::place(to_hpa(root_), gfn.value());
    const u8 order                = static_cast<u8>(level_order(level));
    if (!Nested_format::present(entry)) [[unlikely]]
        return {kInvalidMfn, P2m_type::invalid, order, false};
    const Mfn mfn = to_mfn(Nested_format::leaf_address(entry)) + (gfn.value() & low_bits(order));
    return {mfn, type_of(entry), order, was_written(entry)};
}

bool P2m::find_region(Gfn gfn, Cursor& cursor) const
{
    cursor.region = ~0ull;
    if (!in_range(gfn))
        return false;
    cursor.generation = large_generation();
    const auto at     = place(gfn);
    const u64 first   = align_down(gfn.value(), kEntriesPerTable);
    if (at.level > 1 && !Nested_format::present(at.entry))
        return false;
    cursor.region = gfn.value() / kEntriesPerTable;
    cursor.table  = at.level == 1 ? Table::table_of(at) : Hpa(0);
    cursor.leaf   = at.entry;
    cursor.base =
        to_mfn(Nested_format::leaf_address(at.entry)).value() + (first & low_bits(level_order(at.level)));
    return true;
}

void P2m::let_go(const P2m_entry& was)
{
    switch (was.type) {
    case P2m_type::ram_common:
        frames.leave_common(was.mfn, was.order);
        if (account_) {
            account_->unshare(bit(was.order));
            account_->remove(bit(was.order));
        }
        return;
    case P2m_type::ram:
        if (frames.state(was.mfn) != Frame_state::owned || frames.owner(was.mfn) != owner_)
            return;
        return frames.release(was.mfn, was.order, account_, was.written);
    case P2m_type::foreign:
        if (was.written)
            frames.mark_written(was.mfn);
        return frames.put(was.mfn);
    default: return;
    }
}

// True when the table is empty; false when the budget ran out first. Entries go one at a time, so that what
// is left is always a well-formed tree.
bool P2m::destroy_table(Hpa table, unsigned level, u64& budget)
{
    for (unsigned i = 0; i < kEntriesPerTable; ++i) {
        const Hpa at    = table + i * sizeof(u64);
        const u64 entry = Direct_memory::read(at);
        if (!Nested_format::present(entry))
            continue;
        const bool leaf = Nested_format::is_leaf(entry, level);
        const u64 cost  = leaf ? level_pages(level) : 1;
        if (budget == 0)
            return false;
        budget -= cost < budget ? cost : budget;
        if (!leaf && !destroy_table(Nested_format::table_address(entry), level - 1, budget))
            return false;
        Direct_memory::write(at, 0);
        if (leaf)
            let_go({to_mfn(Nested_format::leaf_address(entry)), type_of(entry),
                    static_cast<u8>(level_order(level)), was_written(entry)});
        else
            tables_.free(Nested_format::table_address(entry));
    }
    return true;
}

Expected<void> P2m::destroy_some()
{
    const Lock_guard guard(lock_);
    u64 budget      = kDestroyBudget;
    const bool done = destroy_table(to_hpa(root_), Nested_format::levels, budget);
    forgotten(Flush::large);
    if (!done)
        return fail(Errc::erestart);
    frames.withdraw_promise(std::exchange(promised_tables_, 0));
    return {};
}

} // namespace vmm
