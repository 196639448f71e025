// SPDX-License-Identifier: Apache-2.0
#include "mm/reservation.hpp"

#include "base/bits.hpp"
#include "domain/domain.hpp"
#include "mm/frame_allocator.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

bool fits(Gfn gfn, unsigned order)
{
    return order <= kMaxOrder && P2m::in_range(gfn) && P2m::in_range(gfn + (bit(order) - 1));
}

// The largest naturally aligned piece that starts at `value` and is at most `count` and 2^most.
unsigned piece_order(u64 value, u64 count, unsigned most)
{
    unsigned order = 0;
    while (order < most && is_aligned(value, bit(order + 1)) && count >= bit(order + 1))
        ++order;
    return order;
}

// Frames of exactly these numbers, for identity-mapped memory: all or none.
Expected<Mfn> claim_identity(Gfn gfn, unsigned order)
{
    const Mfn first(gfn.value());
    for (u64 i = 0; i < bit(order); ++i) {
        const auto claimed = frames.claim(first + i);
        if (claimed)
            continue;
        while (i-- > 0)
            frames.free_clean(first + i, 0);
        return fail(Errc::enomem);
    }
    return first;
}

Expected<Mfn> new_frames(Domain& domain, Gfn gfn, unsigned order)
{
    // What is promised to others stays free; the domain's own promise was reduced by its account.
    if (frames.unpromised_count() < bit(order))
        return fail(Errc::enomem);
    if (!domain.is_identity_mapped()) {
        const Mfn mfn = TRY(frames.allocate(order));
        frames.assign(mfn, order, domain.id());
        return mfn;
    }
    const Mfn first = TRY(claim_identity(gfn, order));
    for (u64 i = 0; i < bit(order); ++i)
        frames.assign(first + i, 0, domain.id());
    return first;
}

// Maps in the largest pieces that gfn and mfn allow; undone when tables run out half-way.
Expected<void> map(P2m& p2m, Gfn gfn, Mfn mfn, u64 count)
{
    for (u64 done = 0; done < count;) {
        const unsigned order = piece_order((gfn + done).value() | (mfn + done).value(), count - done, kMaxOrder);
        const auto set       = p2m.set(gfn + done, mfn + done, order, P2m_type::ram);
        if (!set) {
            for (u64 i = 0; i < done; ++i)
                TRY(p2m.remove(gfn + i, kOrder4k));
            return fail(set.error());
        }
        done += bit(order);
    }
    return {};
}

Expected<void> give_up_piece(Domain& domain, Gfn gfn, unsigned order, const P2m_entry& was)
{
    switch (was.type) {
    case P2m_type::invalid: return {};
    case P2m_type::grant_rw:
    case P2m_type::grant_ro: return fail(Errc::ebusy);
    case P2m_type::mmio:
    case P2m_type::mmio_uncached: return domain.p2m().remove(gfn, order);
    case P2m_type::foreign:
        TRY(domain.p2m().remove(gfn, order));
        frames.put(was.mfn);
        return {};
    case P2m_type::ram:
    case P2m_type::ram_ro: break;
    }
    TRY(domain.p2m().remove(gfn, order));
    if (frames.state(was.mfn) == Frame_state::owned) {
        frames.release(was.mfn, order, was.written);
        domain.unaccount(bit(order));
    }
    return {};
}

} // namespace

Expected<void> populate(Domain& domain, Gfn gfn, unsigned order)
{
    if (!fits(gfn, order))
        return fail(Errc::einval);
    if (const auto cleared = give_up(domain, gfn, order); !cleared && cleared.error() != Errc::enoent)
        return fail(cleared.error());
    TRY(domain.account(bit(order)));
    const auto mfn = new_frames(domain, gfn, order);
    if (!mfn) {
        domain.unaccount(bit(order));
        return fail(mfn.error());
    }
    const auto mapped = map(domain.p2m(), gfn, *mfn, bit(order));
    if (!mapped) {
        frames.release(*mfn, order);
        domain.unaccount(bit(order));
    }
    return mapped;
}

Expected<void> give_up(Domain& domain, Gfn gfn, unsigned order)
{
    if (!fits(gfn, order))
        return fail(Errc::einval);
    const u64 count = bit(order);
    bool any        = false;
    for (u64 done = 0; done < count;) {
        const Gfn at           = gfn + done;
        const P2m_entry was    = domain.p2m().lookup(at);
        const unsigned piece   = piece_order(at.value(), count - done, was.order);
        any                   |= was.present();
        TRY(give_up_piece(domain, at, piece, was));
        done += bit(piece);
    }
    if (!any)
        return fail(Errc::enoent);
    return {};
}

Expected<void> place_shared(Domain& domain, Gfn gfn, Mfn mfn)
{
    if (const auto cleared = give_up(domain, gfn, kOrder4k); !cleared && cleared.error() != Errc::enoent)
        return fail(cleared.error());
    return domain.p2m().set(gfn, mfn, kOrder4k, P2m_type::ram);
}

Expected<void> place_foreign(Domain& domain, Gfn gfn, Domain& owner, Gfn owner_gfn)
{
    const P2m_entry source = owner.p2m().lookup(owner_gfn);
    if (!is_ram(source.type) || !frames.get_from(source.mfn, owner.id()))
        return fail(Errc::einval);
    auto placed = give_up(domain, gfn, kOrder4k);
    if (placed || placed.error() == Errc::enoent)
        placed = domain.p2m().set(gfn, source.mfn, kOrder4k, P2m_type::foreign);
    if (!placed)
        frames.put(source.mfn);
    return placed;
}

bool map_device_memory(Domain& domain, Gpa gpa)
{
    constexpr u64 four_gib = 1ull << 32;
    const Gfn gfn = to_gfn(gpa);
    if (!domain.is_identity_mapped() || gpa.value() < four_gib || frames.exists(Mfn(gfn.value())) ||
        !P2m::in_range(gfn))
        return false;
    const P2m_entry entry = domain.p2m().lookup(gfn);
    if (entry.present())
        return false;
    const unsigned order = entry.order >= kOrder2m ? kOrder2m : kOrder4k;
    return domain.p2m()
        .set_identity(Gfn(align_down(gfn.value(), bit(order))), bit(order), P2m_type::mmio)
        .has_value();
}

} // namespace vmm
