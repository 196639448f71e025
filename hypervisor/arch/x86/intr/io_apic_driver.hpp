// SPDX-License-Identifier: Apache-2.0
//
// The machine's IO-APICs: every pin masked until somebody routes it to a CPU's vector. Pins
// are named by global system interrupt (GSI). Masking them, and telling of them, is as host_interrupts
// (emul/host_interrupts.hpp) has it. [Intel 82093AA data sheet]
#pragma once

#include "base/expected.hpp"
#include "platform/acpi.hpp"

namespace vmm::io_apics
{

struct Route {
    u8 vector;
    u32 apic_id;
    bool level;
    bool active_low;
};

// Finds the IO-APICs ACPI tells of and masks all their pins. Enxio: there is none.
Expected<void> init(const Madt_info& madt);

[[nodiscard]] bool exists(u32 gsi);
// Masked until unmask_gsi(). Enxio: no such pin.
Expected<void> route(u32 gsi, const Route& to);

// What an ISA interrupt is wired to, overrides applied. [ACPI 5.2.12.5]
struct Isa_wiring {
    u32 gsi;
    bool level;
    bool active_low;
};
Isa_wiring isa_wiring(const Madt_info& madt, u8 isa_interrupt);

} // namespace vmm::io_apics
