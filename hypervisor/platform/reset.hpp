// SPDX-License-Identifier: Apache-2.0
//
// Ending the machine: reboot and power-off by whatever the platform offers, the documented way first.
#pragma once

#include "base/types.hpp"

namespace vmm
{

struct Fadt_info;

// What ACPI says about reset and sleep; without it the chipset's and the keyboard controller's way remain.
void set_reset_registers(const Fadt_info& fadt);

[[noreturn]] void machine_reboot();

// Busy waiting that needs no calibrated clock: the PIT counts.
void delay_seconds(unsigned seconds);

} // namespace vmm
