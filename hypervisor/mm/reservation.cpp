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
    const Mfn first(gfn.value());
    if (!frames.claim(first, order))
        return fail(Errc::enomem);
    for (u64 i = 0; i < bit(order); ++i)
        frames.assign(first + i, 0, domain.id());
    return first;
}

// Maps in the largest pieces that gfn and mfn allow, where nothing is; undone, piece by piece, when tables
// run out half-way or something came meanwhile.
Expected<void> map(P2m& p2m, Gfn gfn, Mfn mfn, u64 count)
{
    const auto order_at = [&](u64 done) {
        return piece_order((gfn + done).value() | (mfn + done).value(), count - done, kMaxOrder);
    };
    for (u64 done = 0; done < count; done += bit(order_at(done))) {
        const auto set = p2m.set(gfn + done, mfn + done, order_at(done), P2m_type::ram, P2m::Where::in_hole);
        if (set)
            continue;
        for (u64 i = 0; i < done; i += bit(order_at(i)))
            TRY(p2m.remove(gfn + i, order_at(i)));
        return set;
    }
    return {};
}

Expected<void> give_up_piece(Domain& domain, Gfn gfn, unsigned order, const P2m_entry& was, Giving_up& later)
{
    switch (was.type) {
    case P2m_type::invalid: return {};
    case P2m_type::grant_rw:
    case P2m_type::grant_ro: return fail(Errc::enxio);
    case P2m_type::mmio: return fail(Errc::eperm);
    case P2m_type::ram_common:
        TRY(domain.p2m().remove_common(gfn, was.mfn, order));
        later.add(was, order);
        return {};
    case P2m_type::foreign:
    case P2m_type::ram: break;
    }
    TRY(domain.p2m().remove_quietly(gfn, order));
    later.add(was, order);
    return {};
}

// Calls visit(gfn, order, entry) for the pieces of a range that lie in one mapping or one hole each; once
// more where that is not so any longer: ebusy.
template <class Visit>
Expected<void> for_each_piece(Domain& domain, Gfn gfn, unsigned order, Visit visit)
{
    if (!fits(gfn, order))
        return fail(Errc::einval);
    for (u64 done = 0; done < bit(order);) {
        const Gfn at         = gfn + done;
        const P2m_entry was  = domain.p2m().lookup(at);
        const unsigned piece = piece_order(at.value(), bit(order) - done, was.order);
        auto visited         = visit(at, piece, was);
        if (!visited && visited.error() != Errc::ebusy)
            return visited;
        done += visited ? bit(piece) : 0;
    }
    return {};
}

Expected<void> give_up_locked(Domain& domain, Gfn gfn, unsigned order)
{
    bool any = false;
    Giving_up pieces(domain);
    TRY(for_each_piece(domain, gfn, order, [&](Gfn at, unsigned piece, const P2m_entry& was) {
        any |= was.present();
        return give_up_piece(domain, at, piece, was, pieces);
    }));
    if (!any)
        return fail(Errc::enoent);
    return {};
}

// What may be lost at gfn is gone, whether or not something was. A hole between devices is no loss: Linux
// puts what it maps of others into the first gap of the address space that looks free, and dom0's gaps show
// the machine. Where it hid a device after all, the device is found again by the fault.
Expected<void> make_room(Domain& domain, Gfn gfn)
{
    if (is_mmio(domain.p2m().lookup(gfn).type))
        return {};
    const auto cleared = give_up_locked(domain, gfn, kOrder4k);
    if (!cleared && cleared.error() != Errc::enoent)
        return cleared;
    return {};
}

// A frame that is held: the mapping has the hold from now on, or it is given up.
Expected<void> place_held(Domain& domain, Gfn gfn, Mfn mfn)
{
    const Lock_guard guard(domain.lock());
    Expected<void> placed = fail(Errc::einval);
    if (fits(gfn, kOrder4k) && domain.dying() == Dying::no)
        placed = make_room(domain, gfn);
    if (placed)
        placed = domain.p2m().add_page(gfn, mfn, P2m_type::foreign);
    if (!placed)
        frames.put(mfn);
    return placed;
}

} // namespace

void Giving_up::add(const P2m_entry& was, unsigned order)
{
    if (count_ == pieces_.size())
        finish();
    // What devices wrote, the CPU has not noted.
    const bool by_device = was.type == P2m_type::ram && domain_.is_identity_mapped();
    pieces_[count_++]    = {was.mfn.value(), was.type, static_cast<u8>(order), was.written || by_device};
}

void Giving_up::finish()
{
    if (count_ == 0)
        return;
    domain_.p2m().forget_removed();
    for (; count_ > 0; --count_) {
        const Piece& piece = pieces_[count_ - 1];
        domain_.p2m().let_go({Mfn(piece.mfn), piece.type, piece.order, piece.written});
    }
}

Expected<void> populate(Domain& domain, Gfn gfn, unsigned order)
{
    const Lock_guard guard(domain.lock());
    if (!fits(gfn, order) || domain.dying() != Dying::no)
        return fail(Errc::einval);
    if (const auto cleared = give_up_locked(domain, gfn, order); !cleared && cleared.error() != Errc::enoent)
        return fail(cleared.error());
    TRY(domain.account(bit(order)));
    const auto mfn = new_frames(domain, gfn, order);
    if (!mfn) {
        domain.memory().remove(bit(order));
        return fail(mfn.error());
    }
    const auto mapped = map(domain.p2m(), gfn, *mfn, bit(order));
    if (!mapped)
        frames.release(*mfn, order, &domain.memory());
    return mapped;
}

Expected<void> give_up(Domain& domain, Gfn gfn, unsigned order)
{
    const Lock_guard guard(domain.lock());
    return give_up_locked(domain, gfn, order);
}

Expected<void> give_up_all(Domain& domain, Gfn gfn, unsigned order, Giving_up& later)
{
    const Lock_guard guard(domain.lock());
    return for_each_piece(domain, gfn, order,
                          [&](Gfn at, unsigned piece, const P2m_entry& was) -> Expected<void> {
                              if (!was.present())
                                  return fail(Errc::enoent);
                              return give_up_piece(domain, at, piece, was, later);
                          });
}

Expected<void> place_shared(Domain& domain, Gfn gfn, Mfn mfn)
{
    const Lock_guard guard(domain.lock());
    if (!fits(gfn, kOrder4k) || domain.dying() != Dying::no)
        return fail(Errc::einval);
    TRY(make_room(domain, gfn));
    return domain.p2m().add_page(gfn, mfn, P2m_type::ram);
}

Expected<void> place_foreign(Domain& domain, Gfn gfn, Domain& owner, Gfn owner_gfn)
{
    // What is mapped so may be written, and is to show what its owner writes. That there is no memory for it
    // is told apart from that nothing is there.
    if (owner.p2m().lookup(owner_gfn).type == P2m_type::ram_common)
        TRY(owner.p2m().make_own(owner_gfn));
    const Mfn mfn = owner.p2m().hold_own(owner_gfn);
    return mfn == kInvalidMfn ? fail(Errc::einval) : place_held(domain, gfn, mfn);
}

Expected<void> place_foreign_frame(Domain& domain, Gfn gfn, Domain& owner, Mfn mfn)
{
    return frames.get_from(mfn, owner.id()) ? place_held(domain, gfn, mfn) : fail(Errc::einval);
}

Expected<void> move_page(Domain& domain, Gfn from, Gfn to)
{
    const Lock_guard guard(domain.lock());
    TRY(domain.p2m().make_own(from));
    const P2m_entry page = domain.p2m().lookup(from);
    if (!is_ram(page.type) || !fits(to, kOrder4k) || domain.dying() != Dying::no)
        return fail(Errc::einval);
    if (from == to)
        return {};
    TRY(make_room(domain, to));
    TRY(domain.p2m().add_page(to, page.mfn, page.type));
    // What the CPU noted about writes stays behind with the old entry.
    frames.mark_written(page.mfn);
    const auto removed = domain.p2m().remove(from, kOrder4k);
    if (!removed)
        TRY(domain.p2m().remove(to, kOrder4k));
    return removed;
}

} // namespace vmm
