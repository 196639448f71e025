// SPDX-License-Identifier: Apache-2.0
//
// Frames in common; the rules are at the top of frame_allocator.hpp. That nobody ever writes one makes all of
// it simple: whoever still reads one, through a translation or a pointer found a moment ago, reads what it
// always said. What is promised for copies is the number of sharers less one, summed over all such frames; a
// sharer that leaves takes one of those with it, or gives it back.
#include "base/bits.hpp"
#include "mm/frame_allocator.hpp"
#include "platform/cpus.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>

namespace vmm
{

namespace
{

// The first half of a frame's entry, as one word.
struct Head {
    u32 holds;
    u16 owner;
    Frame_state state;
    u8 detail;
};
static_assert(offsetof(Frame, holds) == offsetof(Head, holds) &&
              offsetof(Frame, owner) == offsetof(Head, owner));
static_assert(offsetof(Frame, state) == offsetof(Head, state) &&
              offsetof(Frame, detail) == offsetof(Head, detail));

using Word [[gnu::may_alias]] = u64;
constexpr u64 kDetail         = std::bit_cast<u64>(Head{0, 0, Frame_state::none, 0xff});

u64 load(const Frame& f) { return __atomic_load_n(reinterpret_cast<const Word*>(&f), __ATOMIC_RELAXED); }

bool is(u64 word, u64 head) { return (word & ~kDetail) == head; }

// All of it at once, so that whoever wants a hold has it before and is noticed, or looks at the owner again
// and finds that there is none.
bool change(Frame& f, u64 from, u64 to)
{
    for (u64 now = load(f); is(now, from);) {
        if (__atomic_compare_exchange_n(reinterpret_cast<Word*>(&f), &now, to | (now & kDetail), false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) [[likely]]
            return true;
    }
    return false;
}

} // namespace

bool Frame_allocator::make_common(Mfn first, unsigned order, Domid owner, Copies copies)
{
    const u64 alone     = std::bit_cast<u64>(Head{1, owner.value(), Frame_state::owned, 0});
    constexpr u64 both  = std::bit_cast<u64>(Head{2, kNobody.value(), Frame_state::common, 0});
    const u32 sharers   = copies == Copies::promised ? 2 : 2 | kUnpromised;
    Frame* const begin  = &frame(first);
    Frame* const end    = begin + bit(order);
    // None is without its owner, not even for a moment, because of another one that is in use.
    const auto only_his = [=](const Frame& f) { return is(load(f), alone); };
    if (!std::all_of(begin, end, only_his))
        return false;
    for (Frame* f = begin; f != end; ++f) {
        if (!change(*f, alone, both)) [[unlikely]] {
            for (Frame* before = begin; before != f; ++before) {
                before->account = nullptr;
                before->owner   = owner.value();
                before->state   = Frame_state::owned;
                before->holds.fetch_sub(1, std::memory_order_acq_rel);
            }
            return false;
        }
        f->sharers = sharers;
        f->unused  = 0;
    }
    common_.fetch_add(bit(order), std::memory_order_relaxed);
    saved_.fetch_add(bit(order), std::memory_order_relaxed);
    return true;
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
