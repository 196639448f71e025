// SPDX-License-Identifier: Apache-2.0
//
// System time from the time stamp counter, whose rate is measured at boot, and the time of day. The rest of
// the hypervisor reads them through domain/time.hpp.
#pragma once

#include "base/expected.hpp"

namespace vmm
{

struct Fadt_info;

// Measures the TSC by the ACPI timer, or by the PIT, and starts system time at 0. `fadt` may be null.
// Enxio: no clock to measure by.
Expected<void> init_clock(const Fadt_info* fadt);

} // namespace vmm
