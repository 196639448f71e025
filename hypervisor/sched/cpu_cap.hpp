// SPDX-License-Identifier: Apache-2.0
//
// A domain's limit on CPU time, in percent of one CPU: an allowance per period that its vCPUs, wherever they
// run, take their time from in portions. Who ran longer than it took leaves a debt to the next period; what
// is left over waits a few periods for CPUs that were busy with others. Any CPU; the lock is inside.
#pragma once

#include "base/spinlock.hpp"
#include "base/types.hpp"

#include <algorithm>

namespace vmm
{

class Cpu_cap
{
  public:
    static constexpr u64 kPeriod       = 10'000'000; // ns
    static constexpr u64 kLeastPortion = 200'000;
    static constexpr s64 kSaved        = 4; // periods

    // 0: no limit.
    void set_percent(u32 percent)
    {
        const Lock_guard guard(lock_);
        left_ = 0;
        percent_.store(percent, std::memory_order_relaxed);
    }
    [[nodiscard]] u32 percent() const { return percent_.load(std::memory_order_relaxed); }
    [[nodiscard]] bool limits() const { return percent() != 0; }

    // How many nanoseconds a vCPU may run now, one of `sharers` who may all want to; 0: none before refill().
    [[nodiscard]] s64 take(Time now, u32 sharers)
    {
        const Lock_guard guard(lock_);
        const s64 allowance = static_cast<s64>(kPeriod / 100 * percent());
        if (now >= refill_) {
            const u64 periods = (now - refill_) / kPeriod + 1;
            // Capped first, so that the product cannot overflow: a debt is never so old.
            left_             = std::min(left_ + static_cast<s64>(std::min<u64>(periods, 1'000)) * allowance,
                                         kSaved * allowance);
            refill_           = refill_ + periods * kPeriod;
        }
        if (left_ <= 0)
            return 0;
        const s64 fair    = allowance / std::max<u32>(sharers, 1);
        const s64 portion = std::min(left_, std::max(fair, static_cast<s64>(kLeastPortion)));
        left_ -= portion;
        return portion;
    }
    // What is left of a portion; negative when more than it was used.
    void give_back(s64 unused)
    {
        const Lock_guard guard(lock_);
        left_ += unused;
    }
    [[nodiscard]] Time refill()
    {
        const Lock_guard guard(lock_);
        return refill_;
    }

  private:
    Spinlock lock_{Lock_rank::cpu_cap};
    std::atomic<u32> percent_{0};
    s64 left_ = 0;
    Time refill_{};
};

} // namespace vmm
