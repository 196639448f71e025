// SPDX-License-Identifier: Apache-2.0
//
// Memory that a domain has in common with others: how it comes to be (a fork), and how a domain gets out of
// it again, frame by frame, by writing. In common it is mapped read-only everywhere, in mappings as large as
// before.
#include "base/string.hpp"
#include "mm/frame_allocator.hpp"
#include "mm/p2m.hpp"

namespace vmm
{

namespace
{

u64 common_leaf(Mfn mfn, unsigned level, bool executable)
{
    return Nested_format::leaf(to_hpa(mfn), level,
                               {.writable   = false,
                                .executable = executable,
                                .uncached   = false,
                                .kind       = static_cast<u8>(P2m_type::ram_common)});
}

} // namespace

Expected<void> P2m::make_own(Gfn gfn)
{
    if (!in_range(gfn))
        return {};
    const Lock_guard guard(lock_);
    const auto at = place(gfn);
    if (type_of(at.entry) != P2m_type::ram_common)
        return {};
    const u64 offset = gfn.value() & low_bits(level_order(at.level));
    const Mfn common = to_mfn(Nested_format::leaf_address(at.entry)) + offset;
    const Mfn own    = TRY(frames.allocate_copy(common));
    bytes::copy(to_virtual(own), to_virtual(common), kPageSize);
    frames.assign(own, 0, owner_);
    frames.note_written(own);
    const auto mapped = set_one(gfn, own, 1, P2m_type::ram);
    if (!mapped) {
        frames.release(own, 0, nullptr);
        return mapped;
    }
    if (at.level > 1)
        use_promised_table();
    if (account_)
        account_->unshare(1);
    frames.leave_common(common, 0);
    return {};
}

// Between the look and the hold the frame may be put in common, or copied, by another CPU: then it is another
// one's turn. A fork that has begun with the frame, and not yet written the entry, is waited for.
Mfn P2m::hold_own(Gfn gfn)
{
    for (;;) {
        const P2m_entry entry = lookup(gfn);
        if (entry.type == P2m_type::ram_common) {
            if (!make_own(gfn))
                return kInvalidMfn;
            continue;
        }
        if (entry.type != P2m_type::ram)
            return kInvalidMfn;
        if (frames.get_from(entry.mfn, owner_))
            return entry.mfn;
        const Lock_guard guard(lock_);
        const P2m_entry now = lookup(gfn);
        if (now.mfn == entry.mfn && now.type == entry.type)
            return frames.get_from(entry.mfn, owner_) ? entry.mfn : kInvalidMfn;
    }
}

Expected<void> P2m::remove_common(Gfn gfn, Mfn mfn, unsigned order)
{
    const Lock_guard guard(lock_);
    const P2m_entry now = lookup(gfn);
    if (now.type != P2m_type::ram_common || now.mfn != mfn || now.order < order)
        return fail(Errc::ebusy);
    changed(TRY(clear(gfn, order)));
    if (now.order >= kOrder2m) // it is gone, or was split
        use_promised_table();
    return {};
}

Expected<void> P2m::promise_table()
{
    TRY(frames.promise(1));
    ++promised_tables_;
    return {};
}

void P2m::use_promised_table()
{
    if (promised_tables_ == 0)
        return;
    --promised_tables_;
    frames.withdraw_promise(1);
}

// Nothing, if one of its frames is in use by somebody else.
Expected<bool> P2m::bequeath_large(const Table::Place& at, const Heir& heir, Inherited& to)
{
    const Mfn first = to_mfn(Nested_format::leaf_address(at.entry));
    switch (type_of(at.entry)) {
    case P2m_type::ram_common: frames.join_common(first, kOrder2m, heir.copies); break;
    case P2m_type::ram:
        if (heir.copies == Copies::promised)
            TRY(promise_table());
        if (!frames.make_common(first, kOrder2m, owner_, heir.copies)) {
            if (heir.copies == Copies::promised)
                use_promised_table();
            return false;
        }
        Direct_memory::write(at.at, common_leaf(first, 2, executes_large()));
        if (account_)
            account_->share(bit(kOrder2m));
        break;
    default: return false;
    }
    to.frames   = kEntriesPerTable;
    to.order    = kOrder2m;
    to.count    = 1;
    to.pages[0] = {first, P2m_type::ram_common};
    return true;
}

Expected<P2m::Inherited::Page> P2m::bequeath_page(Hpa at, const Heir& heir)
{
    constexpr Inherited::Page nothing{kInvalidMfn, P2m_type::invalid};
    const u64 entry     = Direct_memory::read(at);
    const P2m_type type = type_of(entry);
    const Mfn mfn       = to_mfn(Nested_format::leaf_address(entry));
    if (type == P2m_type::ram_common) {
        frames.join_common(mfn, 0, heir.copies);
        return Inherited::Page{mfn, P2m_type::ram_common};
    }
    if (type != P2m_type::ram)
        return nothing;
    if (frames.make_common(mfn, 0, owner_, heir.copies)) {
        Direct_memory::write(at, common_leaf(mfn, 1, true));
        if (account_)
            account_->share(1);
        return Inherited::Page{mfn, P2m_type::ram_common};
    }
    // The other pages the hypervisor shares with it are those of its grants, which a child does not have.
    if (frames.owner(mfn) != owner_ || (frames.state(mfn) == Frame_state::shared && mfn != heir.shared_page))
        return nothing;
    const Mfn copy = TRY(frames.allocate_unscrubbed(0));
    bytes::copy(to_virtual(copy), to_virtual(mfn), kPageSize);
    frames.assign(copy, 0, heir.id);
    frames.note_written(copy);
    return Inherited::Page{copy, P2m_type::ram};
}

Expected<void> P2m::bequeath(Gfn gfn, const Heir& heir, Inherited& to)
{
    const Lock_guard guard(lock_);
    if (logs_writes())
        return fail(Errc::ebusy);
    auto at = place(gfn);
    if (at.level > 1 && !is_ram(type_of(at.entry))) {
        to.frames = pages_left(gfn.value(), at.level);
        return {};
    }
    at = TRY(split_down(gfn, 2));
    if (at.level == 2 && is_aligned(gfn.value(), kEntriesPerTable) && TRY(bequeath_large(at, heir, to))) {
        forgotten(Flush::large);
        return {};
    }
    at        = TRY(split_down(gfn, 1));
    to.frames = Inherited::kMost - gfn.value() % Inherited::kMost;
    Expected<void> done;
    for (; done && to.count < to.frames; to.count += done ? 1 : 0) {
        const auto page = bequeath_page(at.at + to.count * sizeof(u64), heir);
        if (page)
            to.pages[to.count] = *page;
        else
            done = fail(page.error());
    }
    forgotten(Flush::small); // also of those before one that failed
    return done;
}

Expected<void> P2m::inherit(Gfn gfn, Copies copies, Inherited& from)
{
    const Lock_guard guard(lock_);
    const unsigned level = from.order == 0 ? 1 : 2;
    for (unsigned i = 0; i < from.count; ++i) {
        Inherited::Page& page = from.pages[i];
        if (page.type == P2m_type::invalid)
            continue;
        if (level > 1 && copies == Copies::promised)
            TRY(promise_table());
        TRY(set_one(gfn + i, page.mfn, level, page.type));
        page.type = P2m_type::invalid;
    }
    return {};
}

} // namespace vmm
