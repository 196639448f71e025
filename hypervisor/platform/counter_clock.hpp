// SPDX-License-Identifier: Apache-2.0
//
// System time from a counter of the machine that runs at one rate whatever the CPUs do, and wraps. Slower to
// read than a CPU's own. Somebody has to read it at least once in kReadsPerWrap-th of the time it takes to
// wrap. Any CPU reads it at any time; what one has seen, none undercuts later. Pure over its counter.
#pragma once

#include "domain/time.hpp"
#include "platform/rate.hpp"

#include <atomic>

namespace vmm
{

class Counter_clock final : public Clock
{
  public:
    // Goes on from `from`. The counter's context must stay. Before anybody reads.
    void begin(const Counter& counter, u64 hz, Time from);
    [[nodiscard]] Time now() const override;
    // How long it may stay unread at most, in nanoseconds.
    [[nodiscard]] u64 patience() const { return to_ns_.apply(counter_.mask / kReadsPerWrap); }

  private:
    static constexpr u64 kReadsPerWrap = 4;

    Counter counter_{};
    Rate_scale to_ns_;
    u64 first_ = 0;
    Time from_{};
    mutable std::atomic<u64> seen_{0}; // the counter without wrapping, some time ago
};

} // namespace vmm
