// SPDX-License-Identifier: Apache-2.0
//
// The GDT and TSS that each CPU has for itself, and the IDT that all share. Double fault, NMI and machine
// check have stacks of their own, because they can come when the ordinary one is not usable. GS points at the
// place of the CPU's slots (base/per_cpu.hpp). [SDM3 3.4, 6.14, 7.7; APM2 4.8, 8.9, 12.2]
#pragma once

#include "base/expected.hpp"

namespace vmm
{

inline constexpr u16 kHostCodeSelector = 0x08;
inline constexpr u16 kHostDataSelector = 0x10;
inline constexpr u16 kHostTaskSelector = 0x18;

// On the boot CPU, which is number 0. From then on exceptions are reported.
void load_boot_descriptor_tables();

// For any other CPU: made for it by a CPU that runs already, loaded by itself.
struct Descriptor_tables;
Expected<Descriptor_tables*> make_descriptor_tables(u32 cpu);
void load_descriptor_tables(Descriptor_tables& tables);

} // namespace vmm
