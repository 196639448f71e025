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

void Timer::start(Time when)
{
    stop();
    when_          = when;
    Timer_queue& q = this_cpu_timers();
    q.insert(*this);
    if (q.next() == when)
        timer_deadline_changed(q);
}

// The hardware timer stays as it is: when it comes too early, it is set anew.
void Timer::stop()
{
    if (queue_)
        queue_->remove(*this);
}

// Makes the later of two roots the first child of the earlier.
Timer* Timer_queue::meld(Timer* a, Timer* b)
{
    if (!a)
        return b;
    if (!b)
        return a;
    if (b->when_ < a->when_)
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

void Timer_queue::insert(Timer& timer)
{
    timer.queue_ = this;
    timer.child_ = timer.next_ = timer.prev_ = nullptr;
    root_                                    = meld(root_, &timer);
}

void Timer_queue::remove(Timer& timer)
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
    timer.queue_                             = nullptr;
}

void Timer_queue::run(Time now)
{
    for (unsigned fired = 0; root_ && root_->when_ <= now && fired < kMaxFiredAtOnce; ++fired) {
        Timer& due = *root_;
        remove(due);
        due.function_(due.context_);
    }
}

} // namespace vmm
