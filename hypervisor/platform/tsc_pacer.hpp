// SPDX-License-Identifier: Apache-2.0
//
// How one CPU's time stamp counter stands to system time where that does not come from it: both at one
// moment, and the rate at which the counter ran lately. What lies between two moments is off by as much as
// the rate changed since. Pure; each CPU has its own and nobody else touches it.
#pragma once

#include "domain/time.hpp"

namespace vmm
{

class Tsc_pacer
{
  public:
    // The counter may have stood still, or run at any rate; it is believed to go on as it did when measured.
    void resume(u64 tsc, Time now)
    {
        pace_.tsc = tsc;
        pace_.at  = now;
    }
    // The CPU ran all the time since the last call of either.
    void measure(u64 tsc, Time now)
    {
        const u64 ticks = tsc - pace_.tsc, ns = now - pace_.at;
        if (ns >= kLeast && ns <= kMost && ticks != 0 && ticks < kMostTicks)
            pace_.scale =
                Rate_scale::between(ticks * (kSecond / kMicrosecond) / (ns / kMicrosecond), kSecond);
        resume(tsc, now);
    }
    // Before it is measured first.
    void assume(const Rate_scale& scale) { pace_.scale = scale; }
    [[nodiscard]] const Tsc_pace& pace() const { return pace_; }

  private:
    static constexpr u64 kLeast     = 10 * kMillisecond; // for a reference that ticks each 300 ns
    static constexpr u64 kMost      = 100 * kSecond;
    static constexpr u64 kMostTicks = u64{1} << 40; // no overflow

    Tsc_pace pace_{};
};

} // namespace vmm
