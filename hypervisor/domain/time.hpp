// SPDX-License-Identifier: Apache-2.0
//
// Where time comes from: a Clock is passed to whoever needs one, so that the scheduler, the timers and
// what a guest sees of time are deterministic in tests.
#pragma once

#include "base/types.hpp"

namespace vmm
{

// Turns counts of one rate into counts of another as struct vcpu_time_info does: ((n << shift) * mul) >> 32,
// where a negative shift shifts right. [xen/include/public/xen.h, vcpu_time_info]
struct Rate_scale {
    u32 mul  = 0;
    s8 shift = 0;

    // From counts of `from_hz` to counts of `to_hz`, neither 0 nor above 2^32 * 10^9.
    static constexpr Rate_scale between(u64 from_hz, u64 to_hz)
    {
        s8 shift = 0;
        while (to_hz >= from_hz) {
            from_hz <<= 1;
            ++shift;
        }
        while (to_hz * 2 < from_hz) {
            to_hz <<= 1;
            --shift;
        }
        while (to_hz >> 32) {
            to_hz >>= 1;
            from_hz >>= 1;
        }
        return {static_cast<u32>((to_hz << 32) / from_hz), shift};
    }
    [[nodiscard]] constexpr u64 apply(u64 count) const
    {
        const u64 scaled = shift < 0 ? count >> -shift : count << shift;
        return static_cast<u64>((static_cast<unsigned __int128>(scaled) * mul) >> 32);
    }
};

inline constexpr u64 kMicrosecond = 1'000;
inline constexpr u64 kMillisecond = 1'000'000;
inline constexpr u64 kSecond      = 1'000'000'000;

class Clock
{
  public:
    virtual ~Clock()                       = default;
    [[nodiscard]] virtual Time now() const = 0;
};

// The machine's clock and what is known of the CPUs' counters. Supplied by arch/x86/intr; tests supply their
// own.
const Clock& system_clock();
struct Tsc_info {
    u64 khz;        // as measured at boot
    bool invariant; // the CPUs say that it runs at one rate in all states, and theirs agree
    bool is_clock;  // system time comes from it, so that it is steady, whatever the CPUs say
};
const Tsc_info& tsc_info();

// What guests need to read the clock themselves (vcpu_time_info): system time is at + scale.apply(TSC - tsc).
struct Tsc_pace {
    u64 tsc;
    Time at;
    Rate_scale scale;
};
// Everywhere and for ever the same where the TSC is the clock. Else of this CPU, good for about
// kPaceLasts from when it was taken anew: because the CPU was idle, or from how the TSC ran since the last
// time.
Tsc_pace tsc_pace();
void resume_tsc_pace();
void measure_tsc_pace();
inline constexpr u64 kPaceLasts = 100 * kMillisecond;

// Nanoseconds since 1970 at system time 0, adjusted when the control domain sets the time.
u64 wall_clock_at_zero();
void set_wall_clock_at_zero(u64 ns);

} // namespace vmm
