// SPDX-License-Identifier: Apache-2.0
//
// The GDT, TSS and IDT of a CPU. Double fault, NMI and machine check have stacks of their own, because they
// can come when the ordinary one is not usable. [SDM3 3.4, 6.14, 7.7; APM2 4.8, 8.9, 12.2]
#pragma once

#include "base/types.hpp"

namespace vmm
{

inline constexpr u16 kHostCodeSelector = 0x08;
inline constexpr u16 kHostDataSelector = 0x10;
inline constexpr u16 kHostTaskSelector = 0x18;

// Loads all three on this, the boot CPU. From then on exceptions are reported.
void load_descriptor_tables();

} // namespace vmm
