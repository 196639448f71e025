// SPDX-License-Identifier: Apache-2.0
//
// The ownership half of the frame table; the rules are at the top of frame_allocator.hpp.
#include "base/bits.hpp"
#include "base/panic.hpp"
#include "mm/frame_allocator.hpp"

namespace vmm
{
void Frame_allocator::set_owned(Frame& f, Domid owner, bool written)
{
    f.owner  = owner.value();
    f.state  = Frame_state::owned;
    f.detail = written ? kWritten : 0;
    f.holds.store(1, std::memory_order_release);
}

void Frame_allocator::assign(Mfn first, unsigned order, Domid owner)
{
    ASSERT(frame(first).state == Frame_state::hypervisor && frame(first).detail == order);
    for (u64 i = 0; i < bit(order); ++i)
        set_owned(frame(first + i), owner, false);
}

void Frame_allocator::add_owned(Mfn first, u64 count, Domid owner)
{
    const Lock_guard guard(lock_);
    ASSERT(first.value() + count <= end_);
    total_ += count;
    for (u64 i = 0; i < count; ++i)
        set_owned(frame(first + i), owner, true);
}

void Frame_allocator::share(Mfn mfn, Domid owner)
{
    assign(mfn, 0, owner);
    Frame& f  = frame(mfn);
    f.state   = Frame_state::shared;
    f.detail  = kWritten;
    f.account = nullptr;
}

void Frame_allocator::free_held(Mfn mfn)
{
    // A domain gives up by release(), which takes its name off first; domain memory that still has an owner
    // here lost a hold nobody had.
    ASSERT(frame(mfn).owner == kNobody.value() || frame(mfn).state == Frame_state::shared);
    Memory_account* const account = frame(mfn).account;
    set_allocated(static_cast<u32>(mfn.value()), 0);
    free(mfn, 0);
    if (account) {
        account->remove(1);
        account->drop();
    }
}

void Frame_allocator::release(Mfn first, unsigned order, Memory_account* account, bool written)
{
    // Each frame has a hold on the account before somebody else can be its last user.
    if (account)
        account->hold(bit(order));
    u64 gone = 0;
    for (u64 i = 0; i < bit(order); ++i)
        written |= detail(first + i).load(std::memory_order_relaxed) != 0;
    const unsigned colour = written ? kDirty : kClean;
    // An untouched superpage goes back as one block. Once a frame with other holds is met, those before it
    // and after it go back one by one.
    bool whole            = true;
    for (u64 i = 0; i < bit(order); ++i) {
        Frame& f = frame(first + i);
        ASSERT(f.owner != kNobody.value() && (!account || f.state == Frame_state::owned));
        f.owner         = kNobody.value();
        f.account       = account;
        const bool last = drop_hold(first + i);
        gone += last;
        if (last)
            f.state = Frame_state::none;
        if (last && !whole)
            insert_free(first + i, 0, colour);
        if (!last && std::exchange(whole, false)) {
            for (u64 before = 0; before < i; ++before)
                insert_free(first + before, 0, colour);
        }
    }
    if (whole)
        insert_free(first, order, colour);
    if (account && gone != 0) {
        account->remove(gone);
        account->drop(gone);
    }
}

bool Frame_allocator::is_logged(Mfn mfn, bool remove)
{
    if (!exists(mfn) || frame(mfn).holds.load(std::memory_order_acquire) != 1)
        return true;
    const u8 was = remove ? detail(mfn).fetch_and(static_cast<u8>(~kLogged), std::memory_order_acq_rel)
                          : detail(mfn).load(std::memory_order_acquire);
    return (was & kLogged) != 0;
}

Domid Frame_allocator::owner(Mfn mfn) const
{
    if (!exists(mfn))
        return kNobody;
    const Frame& f = frame(mfn);
    const bool has = f.state == Frame_state::owned || f.state == Frame_state::shared;
    return has ? Domid(f.owner) : kNobody;
}

Frame_state Frame_allocator::state(Mfn mfn) const
{
    return exists(mfn) ? frame(mfn).state : Frame_state::none;
}

} // namespace vmm
