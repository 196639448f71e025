// SPDX-License-Identifier: Apache-2.0
//
// Frames in common; the rules are at the top of frame_allocator.hpp. That nobody ever writes one makes all of
// it simple: whoever still reads one, through a translation or a pointer found a moment ago, reads what it
// always said. What is promised for copies is the number of sharers less one, summed over all such frames; a
// sharer that leaves takes one of those with it, or gives it back.
#include "base/bits.hpp"
#include "mm/frame_allocator.hpp"
#include "platform/cpus.hpp"

namespace vmm
{

bool Frame_allocator::make_common(Mfn first, unsigned order, Domid owner, Copies copies)
{
    for (u64 i = 0; i < bit(order); ++i) {
        const Frame& f = frame(first + i);
        if (f.state != Frame_state::owned || f.owner != owner.value() ||
            f.holds.load(std::memory_order_relaxed) != 1)
            return false;
    }
    // Who wants a hold looks at the owner again when it has one: either it finds that there is none any more,
    // or its hold is found here. (Between the two is a locked instruction, which is a full barrier.)
    for (u64 i = 0; i < bit(order); ++i)
        frame(first + i).owner = kNobody.value();
    common_.fetch_add(0, std::memory_order_seq_cst);
    bool alone = true;
    for (u64 i = 0; i < bit(order); ++i)
        alone &= frame(first + i).holds.load(std::memory_order_relaxed) == 1;
    for (u64 i = 0; i < bit(order); ++i) {
        Frame& f = frame(first + i);
        if (!alone) {
            f.owner = owner.value();
            continue;
        }
        f.sharers = copies == Copies::promised ? 2 : 2 | kUnpromised;
        f.unused  = 0;
        f.state   = Frame_state::common;
        f.holds.fetch_add(1, std::memory_order_acq_rel);
    }
    if (alone) {
        common_.fetch_add(bit(order), std::memory_order_relaxed);
        saved_.fetch_add(bit(order), std::memory_order_relaxed);
    }
    return alone;
}

void Frame_allocator::join_common(Mfn first, unsigned order, Copies copies)
{
    const u32 mark = copies == Copies::promised ? 0 : kUnpromised;
    u64 too_many   = 0;
    for (u64 i = 0; i < bit(order); ++i) {
        const Mfn mfn = first + i;
        ASSERT(frame(mfn).state == Frame_state::common);
        frame(mfn).holds.fetch_add(1, std::memory_order_acq_rel);
        u32 before = sharers(mfn).load(std::memory_order_relaxed);
        while (!sharers(mfn).compare_exchange_weak(before, (before + 1) | mark, std::memory_order_acq_rel)) {
        }
        if ((before & kUnpromised) != 0)
            too_many += mark == 0; // the caller's own promise
        else if (mark != 0)
            too_many += before - 1;
    }
    saved_.fetch_add(bit(order), std::memory_order_relaxed);
    if (too_many != 0)
        withdraw_promise(too_many);
}

void Frame_allocator::leave_common(Mfn first, unsigned order)
{
    u64 promised = 0, last = 0;
    for (u64 i = 0; i < bit(order); ++i) {
        const Mfn mfn    = first + i;
        const u32 before = sharers(mfn).fetch_sub(1, std::memory_order_acq_rel);
        ASSERT(frame(mfn).state == Frame_state::common && (before & ~kUnpromised) != 0);
        promised += before >= 2 && (before & kUnpromised) == 0;
        if ((before & ~kUnpromised) == 1) {
            frame(mfn).account = nullptr; // on which a frame without an owner would count
            ++last;
        }
        put(mfn);
    }
    common_.fetch_sub(last, std::memory_order_relaxed);
    saved_.fetch_sub(bit(order) - last, std::memory_order_relaxed);
    if (promised != 0)
        withdraw_promise(promised);
}

Expected<Mfn> Frame_allocator::allocate_copy(Mfn common)
{
    const bool promised = (sharers(common).load(std::memory_order_acquire) & kUnpromised) == 0;
    if (!promised && unpromised_count() == 0)
        return fail(Errc::enomem);
    return allocate_unscrubbed(0);
}

Expected<void> Frame_allocator::promise_last_copies()
{
    if (last_copies_promised_.exchange(true))
        return {};
    const auto promised = promise(cpu_count());
    if (!promised)
        last_copies_promised_ = false;
    return promised;
}

} // namespace vmm
