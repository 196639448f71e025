// SPDX-License-Identifier: Apache-2.0
//
// System time from the time stamp counter, whose rate is measured at boot, or from the ACPI timer where
// platform/clock_choice.hpp says so; and the time of day. The rest of the hypervisor reads them through
// domain/time.hpp.
#pragma once

#include "base/expected.hpp"
#include "platform/clock_choice.hpp"

namespace vmm
{

struct Fadt_info;

// Measures the TSC by the ACPI timer, or by the PIT, and starts system time at 0.
// Enxio: no clock to measure by.
Expected<void> init_clock(const Fadt_info& fadt, Clock_source wanted);

// Whether time can do without the CPUs' counters being one. Doing without them from now on: time goes on from
// what it is. While no CPU but this one reads it.
[[nodiscard]] bool can_leave_tsc();
void leave_tsc();

// Once timers work: the ACPI timer wraps within seconds, and is looked at often enough not to miss one.
void start_watching_clock();

} // namespace vmm
