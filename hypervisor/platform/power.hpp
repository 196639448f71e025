// SPDX-License-Identifier: Apache-2.0
//
// Reset and power-off by whatever the platform offers, the documented way first.
#pragma once

#include "base/types.hpp"

namespace vmm
{

struct Fadt_info;
struct Sleep_type;

namespace power
{

// What ACPI says; without it the chipset's and the keyboard controller's reset remain, and no power-off.
void set_acpi(const Fadt_info& fadt);
void set_soft_off(const Sleep_type& s5);

[[noreturn]] void reset();
// Returns when the machine is still on after a while.
void off();

} // namespace power
} // namespace vmm
