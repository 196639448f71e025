// SPDX-License-Identifier: Apache-2.0
//
// The queue is a pairing heap threaded through the timers: starting is constant time, stopping and firing
// are logarithmic on average, and no memory is ever needed.
#include "sched/timer.hpp"

#include <utility>

namespace vmm
{
namespace
{

// A function that re-arms its timer in the past must not keep the CPU for ever; what is left over is due at
// once, so the hardware timer comes right back.
constexpr unsigned kMaxFiredAtOnce = 64;

} // namespace

// Another CPU may arm it at the same time: the later one wins.
void Timer::start(Time when)
{
    using enum Timer_queue::Inserted;
    Timer_queue& here = this_cpu_timers();
    auto inserted     = no;
    while ((inserted = here.insert(*this, when)) == no) {
        if (Timer_queue* queue = queue_.load(std::memory_order_acquire))
            queue->remove(*this);
    }
    if (inserted == as_first)
        timer_deadline_changed(when);
}

// The hardware timer stays as it is: when it comes too early, it is set anew. The function may arm the timer
// while it runs.
void Timer::stop()
{
    const bool own = firing_.load(std::memory_order_acquire) != 0 && this_cpu_timers().is_firing(*this);
    for (;;) {
        // Between the two looks the function may have armed it and ended.
        const u32 arms = arms_.load(std::memory_order_acquire);
        if (Timer_queue* queue = queue_.load(std::memory_order_acquire))
            queue->remove(*this);
        else if (firing_.load(std::memory_order_acquire) <= (own ? 1 : 0) &&
                 arms_.load(std::memory_order_acquire) == arms)
            return;
        else
            __builtin_ia32_pause();
    }
}

// Makes the later of two roots the first child of the earlier.
Timer* Timer_queue::meld(Timer* a, Timer* b)
{
    if (!a)
        return b;
    if (!b)
        return a;
    if (b->when() < a->when())
        std::swap(a, b);
    b->next_ = a->child_;
    b->prev_ = a;
    if (a->child_)
        a->child_->prev_ = b;
    a->child_ = b;
    a->next_ = a->prev_ = nullptr;
    return a;
}

// Melds a list of siblings: in pairs from the front, then all pairs from the back.
Timer* Timer_queue::meld_siblings(Timer* first)
{
    Timer* pairs = nullptr; // linked backwards through prev_
    while (first) {
        Timer* a = first;
        Timer* b = a->next_;
        first    = b ? b->next_ : nullptr;
        a->next_ = a->prev_ = nullptr;
        if (b)
            b->next_ = b->prev_ = nullptr;
        Timer* pair = meld(a, b);
        pair->prev_ = pairs;
        pairs       = pair;
    }
    Timer* root = nullptr;
    while (pairs) {
        Timer* previous = pairs->prev_;
        pairs->prev_    = nullptr;
        root            = meld(root, pairs);
        pairs           = previous;
    }
    return root;
}

Timer_queue::Inserted Timer_queue::insert(Timer& timer, Time when)
{
    const Lock_guard guard(lock_);
    Timer_queue* none = nullptr;
    if (timer.queue_.load(std::memory_order_relaxed) == this)
        take_from_heap(timer);
    else if (!timer.queue_.compare_exchange_strong(none, this, std::memory_order_acq_rel))
        return Inserted::no;
    timer.arms_.fetch_add(1, std::memory_order_release);
    timer.when_ = when;
    root_       = meld(root_, &timer);
    return root_ == &timer ? Inserted::as_first : Inserted::yes;
}

void Timer_queue::remove(Timer& timer)
{
    const Lock_guard guard(lock_);
    if (timer.queue_.load(std::memory_order_relaxed) == this)
        unlink(timer);
}

void Timer_queue::unlink(Timer& timer)
{
    take_from_heap(timer);
    timer.queue_.store(nullptr, std::memory_order_release);
}

void Timer_queue::take_from_heap(Timer& timer)
{
    Timer* orphans = meld_siblings(timer.child_);
    if (root_ == &timer) {
        root_ = orphans;
    } else {
        if (timer.prev_->child_ == &timer)
            timer.prev_->child_ = timer.next_;
        else
            timer.prev_->next_ = timer.next_;
        if (timer.next_)
            timer.next_->prev_ = timer.prev_;
        root_ = meld(root_, orphans);
    }
    timer.child_ = timer.next_ = timer.prev_ = nullptr;
}

std::optional<Time> Timer_queue::next()
{
    const Lock_guard guard(lock_);
    return root_ ? std::optional(root_->when()) : std::nullopt;
}

// Counted as firing before it is in no queue, so that stop() sees one or the other.
Timer* Timer_queue::take_due(Time now)
{
    const Lock_guard guard(lock_);
    Timer* due = root_;
    if (!due || due->when() > now)
        return nullptr;
    due->firing_.fetch_add(1, std::memory_order_acq_rel);
    unlink(*due);
    return due;
}

void Timer_queue::run(Time now)
{
    for (unsigned fired = 0; fired < kMaxFiredAtOnce; ++fired) {
        Timer* due = take_due(now);
        if (!due)
            return;
        firing_.store(due, std::memory_order_relaxed);
        due->function_(due->context_);
        firing_.store(nullptr, std::memory_order_relaxed);
        due->firing_.fetch_sub(1, std::memory_order_release);
    }
}

} // namespace vmm
