// SPDX-License-Identifier: Apache-2.0
//
// One-shot timers over system time. A Timer belongs to whoever embeds it, is armed at most once at a time,
// on the CPU that armed it, and calls its function there, with interrupts off and no lock held; any CPU may
// arm it anew, when the function can come to run on two at once, or stop it. Timer_queue is a pure object
// over a Clock: it says when the next one is due, and whoever owns the hardware timer programs it.
#pragma once

#include "base/relaxed.hpp"
#include "base/spinlock.hpp"

#include <optional>
#include <type_traits>

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
        if (!std::is_constant_evaluated())
            stop();
    }

    // Arms (or re-arms) for `when`; a time that has passed fires at the next opportunity.
    void start(Time when);
    // Afterwards the function does not run, on no CPU, unless it is what calls this. The caller holds no lock
    // that the function takes.
    void stop();
    [[nodiscard]] bool armed() const { return queue_.load(std::memory_order_relaxed) != nullptr; }
    [[nodiscard]] Time when() const { return when_; }

  private:
    friend class Timer_queue;

    Function function_;
    void* context_;
    Relaxed<Time> when_;
    // Leaves nullptr, and becomes it again, under the lock of the queue.
    std::atomic<Timer_queue*> queue_{nullptr};
    std::atomic<u32> firing_{0}; // CPUs that run the function
    std::atomic<u32> arms_{0};   // how often it was armed
    // Pairing heap links: first child, next sibling, previous sibling or parent.
    Timer* child_ = nullptr;
    Timer* next_  = nullptr;
    Timer* prev_  = nullptr;
};

class Timer_queue
{
  public:
    enum class Inserted : u8 {
        no, // it is in another queue
        yes,
        as_first, // to be due before all others
    };
    // Also when it is in this queue, for another time.
    Inserted insert(Timer& timer, Time when);
    // If it is in this queue.
    void remove(Timer& timer);
    // Fires everything due at `now`.
    void run(Time now);
    // When the next timer is due, if there is one.
    [[nodiscard]] std::optional<Time> next();
    // The function of that timer is what this queue runs now.
    [[nodiscard]] bool is_firing(const Timer& timer) const
    {
        return firing_.load(std::memory_order_relaxed) == &timer;
    }

  private:
    Timer* take_due(Time now);
    void unlink(Timer& timer);
    void take_from_heap(Timer& timer);
    static Timer* meld(Timer* a, Timer* b);
    static Timer* meld_siblings(Timer* first);

    Spinlock lock_{Lock_rank::timer};
    Timer* root_ = nullptr;
    std::atomic<const Timer*> firing_{nullptr};
};

// The queue of this CPU; Timer::start uses it and then has the hardware timer moved.
Timer_queue& this_cpu_timers();
// Tells this CPU's hardware when the earliest timer is due. Supplied by arch/x86/intr; tests supply their
// own.
void timer_deadline_changed(Time when);

} // namespace vmm
