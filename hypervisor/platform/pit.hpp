// SPDX-License-Identifier: Apache-2.0
//
// Channel 2 of the legacy timer, the one clock every PC has and whose rate is known: for calibration and
// for waiting before anything better is there. Polled; channel 0 and its interrupt are never used.
// [8254 data sheet]
#pragma once

#include "base/types.hpp"

namespace vmm
{

inline constexpr u64 kPitHz = 1'193'182;

// Starts counting down from 65535, over and over.
void pit_start();
// What it stands at.
u16 pit_read();

// Waits that long by the PIT; returns at once on a machine where it does not count.
void pit_wait(unsigned milliseconds);

} // namespace vmm
