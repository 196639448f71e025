// SPDX-License-Identifier: Apache-2.0
//
// Brings up the machine's interrupt hardware at boot, and keeps what the hypervisor needs for itself.
#pragma once

#include "base/expected.hpp"

namespace vmm
{

struct Madt_info;
class Uart;

// Legacy PIC silent, local APIC on, IO-APICs found and masked. Enxio: no IO-APIC.
Expected<void> init_interrupts(const Madt_info& madt);

// The serial port's receive interrupt, an ISA interrupt.
Expected<void> connect_serial_interrupt(const Madt_info& madt, u8 isa_interrupt, Uart& uart);

// Whether the hypervisor keeps that pin for itself.
[[nodiscard]] bool is_hypervisor_gsi(u32 gsi);

} // namespace vmm
