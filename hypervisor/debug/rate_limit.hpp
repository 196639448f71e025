// SPDX-License-Identifier: Apache-2.0
//
// A bucket of permissions that refills with time: short bursts pass, a flood does not, and how much was
// held back is known. Pure; the owner locks.
#pragma once

#include "domain/time.hpp"

namespace vmm
{

class Rate_limit
{
  public:
    constexpr Rate_limit(u32 burst, u64 refill_ns) : burst_(burst), refill_ns_(refill_ns), left_(burst) {}

    bool allow(Time now)
    {
        const u64 refills = (now - last_refill_) / refill_ns_;
        if (refills > 0) {
            left_        = refills >= burst_ - left_ ? burst_ : left_ + static_cast<u32>(refills);
            last_refill_ = last_refill_ + refills * refill_ns_;
        }
        if (left_ == 0) {
            ++suppressed_;
            return false;
        }
        --left_;
        return true;
    }

    // How many were refused since this was last asked.
    u64 take_suppressed()
    {
        const u64 n = suppressed_;
        suppressed_ = 0;
        return n;
    }

  private:
    u32 burst_;
    u64 refill_ns_;
    u32 left_;
    Time last_refill_{};
    u64 suppressed_ = 0;
};

} // namespace vmm
