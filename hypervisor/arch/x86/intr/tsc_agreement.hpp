// SPDX-License-Identifier: Apache-2.0
//
// Whether two CPUs' time stamp counters agree: each in turn reads its own, and neither may see less than the
// other saw before. One that is off is set right by the largest difference seen, a few times; system time,
// and the guests' clocks, rest on all being one. One comparison at a time. [SDM3 18.17.3]
#pragma once

#include "base/types.hpp"

#include <atomic>

namespace vmm
{

class Tsc_agreement
{
  public:
    // Before the other CPU can be there.
    void reset();
    // The same number of rounds on both, which wait for each other. The second changes its counter.
    void compare_as_reference() { compare(false); }
    void compare_as_other() { compare(true); }
    // After both.
    [[nodiscard]] bool agrees() const { return behind_ == 0 && ahead_ == 0; }

  private:
    void compare(bool other);
    void meet(u32& meetings);
    void take_turns(bool other);
    void adjust();

    std::atomic<u32> arrived_{0};
    std::atomic<bool> others_turn_{false};
    // Changed by who reads, and between meetings by the other.
    u64 last_   = 0;
    u64 behind_ = 0; // the most by which the other was seen behind the reference, or ahead of it
    u64 ahead_  = 0;
};

} // namespace vmm
