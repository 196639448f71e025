// SPDX-License-Identifier: Apache-2.0
#include "mm/fork.hpp"

#include "domain/domain.hpp"
#include "mm/frame_allocator.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

// Between two chances to do something else, in frames looked at; a copy costs as much as looking at many.
constexpr u64 kFramesPerPiece = 16 * bit(kOrder2m);
constexpr u64 kCostOfCopy     = 64;
// Promised beyond the claim while a fork lasts, so that any piece of memory is covered.
constexpr u64 kLargestPiece   = bit(kOrder2m);

Expected<void> check(Domain& child, Domain& parent)
{
    if (parent.p2m().logs_writes() || child.p2m().logs_writes())
        return fail(Errc::ebusy);
    if (&child == &parent || parent.is_control() || child.has_run() || child.owned_frames() != 0 ||
        child.dying() != Dying::no || child.max_vcpus() != parent.max_vcpus())
        return fail(Errc::einval);
    if (child.claimed_frames() != 0 && child.claimed_frames() < parent.owned_frames())
        return fail(Errc::einval);
    return {};
}

Expected<void> begin(Domain& child, Domain& parent)
{
    TRY(check(child, parent));
    auto held = Ref<Domain>::hold(parent);
    if (!held)
        return fail(Errc::esrch);
    Fork_walk walk;
    if (child.claimed_frames() != 0) {
        TRY(frames.promise_last_copies());
        TRY(frames.promise(kLargestPiece));
        walk.copies   = Copies::promised;
        walk.promised = kLargestPiece + child.take_claim();
    }
    walk.parent     = std::move(held);
    child.fork_walk = std::move(walk);
    parent.pause();
    return {};
}

struct Counts {
    u64 common = 0;
    u64 copied = 0;
};

Counts count(const P2m::Inherited& piece)
{
    Counts counts;
    for (unsigned i = 0; i < piece.count; ++i) {
        if (piece.pages[i].type == P2m_type::ram_common)
            counts.common += bit(piece.order);
        else if (piece.pages[i].type == P2m_type::ram)
            ++counts.copied;
    }
    return counts;
}

// What the child did not get.
void let_go(const P2m::Inherited& piece)
{
    for (unsigned i = 0; i < piece.count; ++i) {
        if (piece.pages[i].type == P2m_type::ram_common)
            frames.leave_common(piece.pages[i].mfn, piece.order);
        else if (piece.pages[i].type == P2m_type::ram)
            frames.release(piece.pages[i].mfn, 0, nullptr);
    }
}

Expected<void> give(Domain& child, Gfn gfn, P2m::Inherited& piece)
{
    const Counts all = count(piece);
    const Lock_guard guard(child.lock());
    TRY(child.memory().add(all.common + all.copied));
    child.memory().share(all.common);
    const auto given = child.p2m().inherit(gfn, child.fork_walk.copies, piece);
    if (!given) {
        const Counts left = count(piece);
        child.memory().remove(left.common + left.copied);
        child.memory().unshare(left.common);
    }
    return given;
}

// What is promised for the memory of the piece is so no longer by the walk: it is the common frames', or
// there are frames now.
void use_promise(Fork_walk& walk, const Counts& counts)
{
    if (walk.copies == Copies::not_promised)
        return;
    walk.promised -= counts.common + counts.copied;
    frames.withdraw_promise(counts.copied);
}

// Frames that were looked at, in the measure of the budget.
Expected<u64> fork_piece(Domain& child, Domain& parent)
{
    Fork_walk& walk = child.fork_walk;
    const Gfn gfn(walk.next);
    const bool covered = walk.copies == Copies::promised ? walk.promised >= kLargestPiece
                                                         : frames.unpromised_count() >= P2m::Inherited::kMost;
    if (!covered)
        return fail(Errc::enomem);
    P2m::Inherited piece;
    auto done = [&] {
        const Lock_guard guard(parent.lock());
        return parent.p2m().bequeath(gfn, {child.id(), walk.copies, parent.shared_mfn()}, piece);
    }();
    const Counts counts = count(piece);
    use_promise(walk, counts);
    if (done)
        done = give(child, gfn, piece);
    if (!done) {
        let_go(piece);
        return fail(done.error());
    }
    walk.next += piece.frames;
    return std::min<u64>(piece.frames, kEntriesPerTable) + counts.copied * kCostOfCopy;
}

Expected<void> go_on(Domain& child, Domain& parent)
{
    if (child.dying() != Dying::no || parent.dying() != Dying::no)
        return fail(Errc::esrch);
    parent.wait_until_stopped();
    for (u64 budget = kFramesPerPiece; child.fork_walk.next <= parent.p2m().max_gfn().value();) {
        const u64 cost = TRY(fork_piece(child, parent));
        if (cost >= budget)
            return fail(Errc::erestart);
        budget -= cost;
    }
    return {};
}

} // namespace

void end_fork(Domain& child)
{
    const Fork_walk walk = std::move(child.fork_walk);
    child.fork_walk      = {};
    if (!walk.parent)
        return;
    frames.withdraw_promise(walk.promised);
    walk.parent->unpause();
}

Expected<void> fork_memory(Domain& child, Domain& parent)
{
    if (child.fork_walk.parent && child.fork_walk.parent.get() != &parent)
        return fail(Errc::ebusy);
    if (!child.fork_walk.parent)
        TRY(begin(child, parent));
    auto done = go_on(child, parent);
    if (done || done.error() != Errc::erestart)
        end_fork(child);
    return done;
}

} // namespace vmm
