// SPDX-License-Identifier: Apache-2.0
//
// Where time comes from: a Clock is passed to whoever needs one, so that the scheduler, the timers and
// what a guest sees of time are deterministic in tests.
#pragma once

#include "base/types.hpp"

namespace vmm
{

// Converts TSC ticks into nanoseconds as struct vcpu_time_info does: ((ticks << shift) * mul) >> 32,
// where a negative shift shifts right. [xen/include/public/xen.h, vcpu_time_info]
struct Tsc_scale {
    u32 mul  = 0;
    s8 shift = 0;

    static Tsc_scale from_hz(u64 hz);
    [[nodiscard]] u64 to_ns(u64 ticks) const
    {
        const u64 scaled = shift < 0 ? ticks >> -shift : ticks << shift;
        return static_cast<u64>((static_cast<unsigned __int128>(scaled) * mul) >> 32);
    }
    [[nodiscard]] u64 to_ticks(u64 ns) const
    {
        const u64 scaled = static_cast<u64>((static_cast<unsigned __int128>(ns) << 32) / mul);
        return shift < 0 ? scaled << -shift : scaled >> shift;
    }
};

class Clock
{
  public:
    virtual ~Clock()                        = default;
    [[nodiscard]] virtual Time now() const = 0;
};

inline constexpr u64 kMicrosecond = 1'000;
inline constexpr u64 kMillisecond = 1'000'000;
inline constexpr u64 kSecond      = 1'000'000'000;

} // namespace vmm
