// SPDX-License-Identifier: Apache-2.0
//
// Measures the rate of a counter against one whose rate is known. Reading two counters takes time, during
// which an interrupt of the machine's own (SMI) or, in a virtual machine, another task can come between; so
// the closest of several readings counts. Pure over its two counters.
#pragma once

#include "base/types.hpp"

namespace vmm
{

struct Counter {
    u64 (*read)(const void* context); // ascending
    const void* context;
    u64 mask; // what it wraps at, minus 1
};

struct Rate_measurement {
    u64 hz;
    u64 error_ppm; // how far off it may be, from how long the readings took
};

// Lets `reference_ticks` of the reference go by (at most half of its range).
Rate_measurement measure_rate(const Counter& counter, const Counter& reference, u64 reference_hz,
                              u64 reference_ticks);

} // namespace vmm
