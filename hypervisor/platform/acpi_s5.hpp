// SPDX-License-Identifier: Apache-2.0
//
// The one thing a hypervisor wants from AML: the values that switch the machine off. They are in the package
// \_S5, which firmware always writes as a constant, so its bytes are looked for and no AML is run.
// [ACPI 7.4.2.6, 20.2]
#pragma once

#include "platform/acpi.hpp"

#include <optional>

namespace vmm
{

struct Sleep_type {
    u8 a, b; // SLP_TYP for PM1a_CNT and PM1b_CNT
};

// Pure: `aml` is the DSDT or an SSDT, header included.
std::optional<Sleep_type> find_s5(std::span<const u8> aml);

} // namespace vmm
