// SPDX-License-Identifier: Apache-2.0
//
// Reset and power-off by whatever the platform offers, the documented way first.
#pragma once

#include "platform/acpi.hpp"

namespace vmm::power
{

// What ACPI says; without it the chipset's and the keyboard controller's reset remain, and no power-off.
void set_acpi(const Fadt_info& fadt, std::optional<Sleep_type> s5);

[[noreturn]] void reset();
// Returns when the machine is still on after a while.
void off();

} // namespace vmm::power
