// SPDX-License-Identifier: Apache-2.0
#include "platform/pit.hpp"

#include "arch/x86/cpu/port_io.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

constexpr u16 kChannel2 = 0x42;
constexpr u16 kCommand  = 0x43;
constexpr u16 kGate     = 0x61;
constexpr u8 kGateOn    = 0x01;
constexpr u8 kSpeakerOn = 0x02;
constexpr u8 kOutput    = 0x20;
// Channel 2, low byte then high byte, mode 0: output rises at the end of the count.
constexpr u8 kOneShot = 0xb0;
// Each poll takes about a microsecond on the bus; more than a second's worth means there is no timer.
constexpr u32 kPatience = 4'000'000;

u64 no_sample() { return 0; }

} // namespace

bool pit_measure(u16 ticks, u64 (*sample)(), u64& elapsed)
{
    const u8 gate = static_cast<u8>((in8(kGate) & ~kSpeakerOn) | kGateOn);
    out8(kGate, gate & ~kGateOn);
    out8(kCommand, kOneShot);
    out8(kChannel2, static_cast<u8>(ticks));
    out8(kChannel2, static_cast<u8>(ticks >> 8));
    out8(kGate, gate);
    const u64 start = sample();
    u32 polls       = 0;
    while (!(in8(kGate) & kOutput) && polls < kPatience)
        ++polls;
    elapsed = sample() - start;
    return polls > 0 && polls < kPatience;
}

bool pit_wait(unsigned milliseconds)
{
    const u32 ticks = kPitHz * std::min(milliseconds, 50u) / 1000;
    u64 ignored     = 0;
    return pit_measure(static_cast<u16>(ticks), no_sample, ignored);
}

} // namespace vmm
