// SPDX-License-Identifier: Apache-2.0
//
// A value that CPUs look at while another one changes it, where each gets the one from before or after and
// nothing else follows from it: like a plain variable, but the look is whole.
#pragma once

#include <atomic>

namespace vmm
{

template <class T>
class Relaxed
{
  public:
    constexpr Relaxed() = default;
    constexpr explicit Relaxed(T value) : value_(value) {}

    // NOLINTNEXTLINE(google-explicit-constructor)
    operator T() const { return value_.load(std::memory_order_relaxed); }
    Relaxed& operator=(T value)
    {
        value_.store(value, std::memory_order_relaxed);
        return *this;
    }
    // For who changes it alone: no other change may come between.
    Relaxed& operator+=(T more) { return *this = *this + more; }
    Relaxed& operator-=(T less) { return *this = *this - less; }

  private:
    std::atomic<T> value_{};
};

} // namespace vmm
