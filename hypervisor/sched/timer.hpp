// SPDX-License-Identifier: Apache-2.0
//
// One-shot timers over system time. A Timer belongs to whoever embeds it, is armed at most once at a time
// and calls its function from the CPU's interrupt-off context. Timer_queue is a pure object over a Clock:
// it says when the next one is due, and whoever owns the hardware timer programs it.
#pragma once

#include "base/types.hpp"

namespace vmm
{

class Timer_queue;

class Timer
{
  public:
    using Function = void (*)(void* context);

    constexpr Timer(Function function, void* context) : function_(function), context_(context) {}
    Timer(const Timer&)            = delete;
    Timer& operator=(const Timer&) = delete;
    constexpr ~Timer()
    {
        if (queue_)
            stop();
    }

    // Arms (or re-arms) for `when`; a time that has passed fires at the next opportunity.
    void start(Time when);
    void stop();
    [[nodiscard]] bool armed() const { return queue_ != nullptr; }
    [[nodiscard]] Time when() const { return when_; }

  private:
    friend class Timer_queue;

    Function function_;
    void* context_;
    Time when_{};
    Timer_queue* queue_ = nullptr;
    // Pairing heap links: first child, next sibling, previous sibling or parent.
    Timer* child_       = nullptr;
    Timer* next_        = nullptr;
    Timer* prev_        = nullptr;
};

class Timer_queue
{
  public:
    void insert(Timer& timer);
    void remove(Timer& timer);
    // Fires everything due at `now`.
    void run(Time now);
    [[nodiscard]] bool empty() const { return root_ == nullptr; }
    // When the next timer is due; only when not empty.
    [[nodiscard]] Time next() const { return root_->when_; }

  private:
    static Timer* meld(Timer* a, Timer* b);
    static Timer* meld_siblings(Timer* first);

    Timer* root_ = nullptr;
};

// The queue of this CPU; Timer::start uses it and then has the hardware timer moved.
Timer_queue& this_cpu_timers();
// Tells the hardware that the earliest timer changed. Supplied by arch/x86/intr; tests supply their own.
void timer_deadline_changed(Timer_queue& queue);

} // namespace vmm
