// SPDX-License-Identifier: Apache-2.0
//
// Channel 2 of the legacy timer, the one clock every PC has and whose rate is known: for calibration and
// for waiting before anything better is there. Polled; channel 0 and its interrupt are never used.
// [Intel 8254 data sheet]
#pragma once

#include "base/types.hpp"

namespace vmm
{

inline constexpr u32 kPitHz = 1'193'182;

// Waits that long, at most 50 ms a call. False when channel 2 does not count, as on machines without one.
bool pit_wait(unsigned milliseconds);

// The same in ticks (1 to 65535), for calibration: calls `sample` right at the start and the end.
bool pit_measure(u16 ticks, u64 (*sample)(), u64& elapsed);

} // namespace vmm
