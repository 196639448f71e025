// SPDX-License-Identifier: Apache-2.0
//
// Spinlock with a rank: locks are taken in ascending rank only. The hypervisor runs with interrupts off,
// so there is one locking mode and no handler can find its own CPU holding a lock.
#pragma once

#include "base/lock_order.hpp"

#include <atomic>

namespace vmm
{

class Spinlock
{
  public:
    constexpr explicit Spinlock(Lock_rank rank) : rank_(rank) {}
    Spinlock(const Spinlock&)            = delete;
    Spinlock& operator=(const Spinlock&) = delete;

    // `paired`: the second lock of a Lock_pair.
    void lock(bool paired = false)
    {
        Lock_order::taking(rank_, paired);
        while (held_.exchange(true, std::memory_order_acquire))
            [[unlikely]] __builtin_ia32_pause();
    }
    // Takes it if it is free: in any order, for who does not wait cannot hang.
    [[nodiscard]] bool try_lock()
    {
        if (held_.load(std::memory_order_relaxed) || held_.exchange(true, std::memory_order_acquire))
            return false;
        Lock_order::tried(rank_);
        return true;
    }
    void unlock()
    {
        held_.store(false, std::memory_order_release);
        Lock_order::released(rank_);
    }

    // In a panic: whoever has it will not give it back.
    void break_open() { held_.store(false, std::memory_order_release); }

  private:
    std::atomic<bool> held_{false};
    Lock_rank rank_;
};

class [[nodiscard]] Lock_guard
{
  public:
    explicit Lock_guard(Spinlock& lock) : lock_(lock) { lock_.lock(); }
    ~Lock_guard() { lock_.unlock(); }
    Lock_guard(const Lock_guard&)            = delete;
    Lock_guard& operator=(const Lock_guard&) = delete;

  private:
    Spinlock& lock_;
};

// Two locks of one rank, taken in the order of their addresses; the same lock twice is taken once.
class [[nodiscard]] Lock_pair
{
  public:
    Lock_pair(Spinlock& a, Spinlock& b) : first_(&a < &b ? a : b), second_(&a < &b ? b : a)
    {
        first_.lock();
        if (&first_ != &second_)
            second_.lock(true);
    }
    ~Lock_pair()
    {
        if (&first_ != &second_)
            second_.unlock();
        first_.unlock();
    }
    Lock_pair(const Lock_pair&)            = delete;
    Lock_pair& operator=(const Lock_pair&) = delete;

  private:
    Spinlock& first_;
    Spinlock& second_;
};

} // namespace vmm
