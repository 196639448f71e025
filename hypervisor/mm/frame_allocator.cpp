// SPDX-License-Identifier: Apache-2.0
#include "mm/frame_allocator.hpp"

#include "base/bits.hpp"
#include "base/panic.hpp"
#include "base/string.hpp"
#include "base/turns.hpp"
#include "mm/direct_map.hpp"
#include "platform/cpus.hpp"

#include <utility>

namespace vmm
{

constinit Frame_allocator frames;

namespace
{

// How much is scrubbed between two looks at what else there is to do: 256 KiB.
constexpr unsigned kScrubOrder = 6;

void zero(u64 first, unsigned order) { bytes::zero_pages(to_virtual(Mfn(first)), bit(order)); }

} // namespace

void Frame_allocator::init(Mfn end, void* zeroed_table)
{
    ASSERT(end.value() < kNone);
    table_ = static_cast<Frame*>(zeroed_table);
    end_   = end.value();
}

void Frame_allocator::link(u32& head, u32 index)
{
    Frame& f = table_[index];
    f.prev   = kNone;
    f.next   = head;
    if (head != kNone)
        table_[head].prev = index;
    head = index;
}

void Frame_allocator::unlink(u32& head, u32 index)
{
    const Frame& f = table_[index];
    if (f.prev != kNone)
        table_[f.prev].next = f.next;
    else
        head = f.next;
    if (f.next != kNone)
        table_[f.next].prev = f.prev;
}

void Frame_allocator::push(u32 index, unsigned order, unsigned colour)
{
    Frame& f = table_[index];
    f.state  = free_state(colour);
    f.detail = static_cast<u8>(order);
    link(head_[colour][order], index);
}

// The block is nobody's afterwards: its first frame says none.
void Frame_allocator::pull(u32 index, unsigned order, unsigned colour)
{
    unlink(head_[colour][order], index);
    table_[index].state = Frame_state::none;
}

bool Frame_allocator::is_free_block(u64 index, unsigned order, unsigned colour) const
{
    return index < end_ && table_[index].state == free_state(colour) && table_[index].detail == order;
}

void Frame_allocator::insert_merging(u64 index, unsigned order, unsigned colour)
{
    count_[colour] += bit(order);
    while (order < kMaxOrder) {
        const u64 buddy = index ^ bit(order);
        if (!is_free_block(buddy, order, colour))
            break;
        pull(static_cast<u32>(buddy), order, colour);
        index &= ~bit(order);
        ++order;
    }
    push(static_cast<u32>(index), order, colour);
}

void Frame_allocator::add_free(Mfn first, u64 count)
{
    const Lock_guard guard(lock_);
    u64 index = first.value();
    ASSERT(index + count <= end_);
    total_ += count;
    while (count > 0) {
        const unsigned order = piece_order(index, count, kMaxOrder);
        insert_merging(index, order, kDirty);
        index += bit(order);
        count -= bit(order);
    }
}

// Splits an unlinked block of order `from` down to the one of order `to` that contains `wanted`; the rest
// goes back to the lists.
u32 Frame_allocator::narrow(u32 index, unsigned from, unsigned to, u32 wanted, unsigned colour)
{
    while (from > to) {
        --from;
        const u32 upper = index + static_cast<u32>(bit(from));
        push(wanted < upper ? upper : index, from, colour);
        index = wanted < upper ? index : upper;
    }
    return index;
}

Expected<u32> Frame_allocator::take(unsigned order, unsigned colour)
{
    for (unsigned o = order; o <= kMaxOrder; ++o) {
        const u32 index = head_[colour][o];
        if (index == kNone)
            continue;
        pull(index, o, colour);
        count_[colour] -= bit(order);
        return narrow(index, o, order, index, colour);
    }
    return fail(Errc::enomem);
}

void Frame_allocator::set_allocated(u32 index, unsigned order)
{
    Frame& f = table_[index];
    f.state  = Frame_state::hypervisor;
    f.detail = static_cast<u8>(order);
}

// What fails for want of frames that rest, or that another CPU is scrubbing, is tried again with those. That
// a CPU comes out of the hypervisor is waited for, but not for ever: it may wait for a lock of the caller's.
// Nor is it for others to end scrubbing: there may be as much to scrub as the machine has memory.
template <class Try>
auto Frame_allocator::with_all_free(const Try& attempt)
{
    constexpr unsigned patience_with_resting   = 20'000; // milliseconds
    constexpr unsigned patience_with_scrubbing = 1'000'000;
    for (unsigned tries = 0;; ++tries, __builtin_ia32_pause()) {
        const Lock_guard guard(lock_);
        auto result = attempt();
        if (result || (!wake_rested() && (scrubbing_ == 0 || tries > patience_with_scrubbing) &&
                       (resting_ == 0 || tries > patience_with_resting)))
            return result;
    }
}

Expected<Mfn> Frame_allocator::allocate(unsigned order)
{
    unsigned colour = kClean;
    const Mfn mfn   = TRY(with_all_free([&] { return try_allocate(order, colour); }));
    if (colour == kDirty)
        zero(static_cast<u32>(mfn.value()), order);
    return mfn;
}

// Of the other colour, which `colour` is then, where there is none of that.
Expected<Mfn> Frame_allocator::try_allocate(unsigned order, unsigned& colour)
{
    for (const unsigned one : {colour, colour == kClean ? kDirty : kClean}) {
        if (const auto index = take(order, one)) {
            set_allocated(*index, order);
            colour = one;
            return Mfn(*index);
        }
    }
    return fail(Errc::enomem);
}

Expected<Mfn> Frame_allocator::allocate_unscrubbed(unsigned order)
{
    unsigned colour = kDirty;
    return with_all_free([&] { return try_allocate(order, colour); });
}

// Takes a block out of the free block it lies in, zeroed. False when there is no such one.
bool Frame_allocator::take_containing(u32 index, unsigned order)
{
    for (unsigned o = order; o <= kMaxOrder; ++o) {
        const u32 start = static_cast<u32>(align_down(index, bit(o)));
        for (const unsigned colour : {kClean, kDirty}) {
            if (!is_free_block(start, o, colour))
                continue;
            pull(start, o, colour);
            count_[colour] -= bit(order);
            narrow(start, o, order, index, colour);
            if (colour == kDirty)
                zero(index, order);
            return true;
        }
    }
    return false;
}

Expected<void> Frame_allocator::claim(Mfn first, unsigned order)
{
    const u64 count = bit(order);
    if (!exists(first) || !exists(first + (count - 1)))
        return fail(Errc::einval);
    return with_all_free([&] { return try_claim(first, order); });
}

Expected<void> Frame_allocator::try_claim(Mfn first, unsigned order)
{
    const u64 count = bit(order);
    // The whole is mostly one free block; otherwise it is gathered from the largest pieces there are.
    u64 done        = 0;
    while (done < count) {
        const u32 at   = static_cast<u32>(first.value() + done);
        unsigned piece = piece_order(at, count - done, order);
        while (!take_containing(at, piece)) {
            if (piece-- == 0) {
                for (u64 i = 0; i < done; ++i) {
                    frame(first + i).state = Frame_state::none;
                    insert_merging(first.value() + i, 0, kClean);
                }
                return fail(Errc::ebusy);
            }
        }
        for (u64 i = 0; i < bit(piece); ++i)
            set_allocated(static_cast<u32>(at + i), 0);
        done += bit(piece);
    }
    return {};
}

void Frame_allocator::free(Mfn first, unsigned order)
{
    ASSERT(exists(first));
    Frame& f = frame(first);
    ASSERT(f.state == Frame_state::hypervisor && f.detail == order);
    f.state = Frame_state::none;
    insert_free(first, order, kDirty);
}

void Frame_allocator::insert_free(Mfn first, unsigned order, unsigned colour)
{
    const Lock_guard guard(lock_);
    if (cpu_count() == 1) {
        insert_merging(first.value(), order, colour);
        return;
    }
    rest(static_cast<u32>(first.value()), order);
    wake_rested();
}

void Frame_allocator::rest(u32 index, unsigned order)
{
    table_[index].next = std::exchange(new_rest_, index);
    table_[index].prev = order;
    resting_ += bit(order);
}

// Those that have rested enough are free again, and the next ones' time begins. Who held on to them may have
// written, so they are dirty. True when there were any.
bool Frame_allocator::wake_rested()
{
    bool any = false;
    while (old_rest_ != kNone || new_rest_ != kNone) {
        for (u32 cpu = 0; cpu < cpu_count() && old_rest_ != kNone; ++cpu) {
            if (cpu != this_cpu() && !turns::has_been_out(cpu, rested_since_[cpu]))
                return any;
        }
        while (old_rest_ != kNone) {
            const u32 index      = std::exchange(old_rest_, table_[old_rest_].next);
            const unsigned order = table_[index].prev;
            resting_ -= bit(order);
            insert_merging(index, order, kDirty);
            any = true;
        }
        old_rest_ = std::exchange(new_rest_, kNone);
        for (u32 cpu = 0; cpu < cpu_count(); ++cpu)
            rested_since_[cpu] = turns::of(cpu);
    }
    return any;
}

void Frame_allocator::split_allocated(Mfn first, unsigned order)
{
    ASSERT(frame(first).state == Frame_state::hypervisor && frame(first).detail == order);
    for (u64 i = 0; i < bit(order); ++i)
        set_allocated(static_cast<u32>(first.value() + i), 0);
}

Expected<void> Frame_allocator::promise(u64 count)
{
    const Lock_guard guard(lock_);
    // The hypervisor's own needs may have taken some of what was promised.
    const u64 free = count_free();
    if (free < promised_ || count > free - promised_)
        return fail(Errc::enomem);
    promised_ += count;
    return {};
}

void Frame_allocator::withdraw_promise(u64 count)
{
    const Lock_guard guard(lock_);
    ASSERT(count <= promised_);
    promised_ -= count;
}

u64 Frame_allocator::free_count() const
{
    const Lock_guard guard(lock_);
    return count_free();
}

u64 Frame_allocator::unpromised_count() const
{
    const Lock_guard guard(lock_);
    const u64 free = count_free();
    return free > promised_ ? free - promised_ : 0;
}

bool Frame_allocator::scrub_some()
{
    // The block is nobody's while it is scrubbed, so that the lock is not held meanwhile.
    u32 index      = kNone;
    unsigned order = 0;
    {
        const Lock_guard guard(lock_);
        wake_rested();
        for (unsigned o = kMaxOrder + 1; o-- > 0 && index == kNone;) {
            if (head_[kDirty][o] == kNone)
                continue;
            order = o < kScrubOrder ? o : kScrubOrder;
            index = *take(order, kDirty);
        }
        if (index == kNone)
            return false;
        scrubbing_ += bit(order);
    }
    zero(index, order);
    const Lock_guard guard(lock_);
    scrubbing_ -= bit(order);
    insert_merging(index, order, kClean);
    return true;
}

} // namespace vmm
