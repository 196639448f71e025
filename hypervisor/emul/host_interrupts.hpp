// SPDX-License-Identifier: Apache-2.0
//
// What the emulated machine asks of the interrupt hardware: host vectors for IO-APIC pins and for message
// interrupts, and masking. A link seam: arch/x86/intr implements it, the tests record it. Handlers run on
// the CPU that took the interrupt, interrupts off, after the local APIC's EOI; they may call mask_gsi() and
// must not block. A handler is bound once and stays; binding again replaces trigger and handler. Each CPU has
// some 190 vectors of its own.
#pragma once

#include "base/expected.hpp"

namespace vmm::host_interrupts
{

using Handler = void (*)(void* context);

// Routes a pin of the physical IO-APICs to a host vector; it is masked until unmask_gsi(). Enxio when
// there is no such pin, ebusy when the hypervisor uses it itself, enospc when vectors are used up.
Expected<void> bind_gsi(u32 gsi, bool level, bool active_low, Handler handler, void* context);
void mask_gsi(u32 gsi);
void unmask_gsi(u32 gsi);

// A CPU's vector for one message interrupt, and what the device must send to raise it.
struct Msi_binding {
    u32 cpu;
    u32 data;
    u64 address;
};
// On that CPU if it has a vector left and a message can reach it, else on another.
Expected<Msi_binding> bind_msi(u32 cpu, Handler handler, void* context);
// The device was told to be quiet; a message still on its way raises nothing. Not called from a handler.
void release_msi(const Msi_binding& binding);
// After this no CPU is in a handler that was released before: its context may go. Not called from a handler,
// nor with a lock that one takes.
void wait_for_handlers();

inline constexpr u32 kMaxPins = 240; // of an IO-APIC: an index is 8 bits and starts at 0x10

// One IO-APIC of the machine.
struct Io_apic_info {
    u64 address;
    u32 first_gsi;
    u32 pins;
    u8 id;
};
// The machine's IO-APICs, nullptr past the last.
const Io_apic_info* io_apic(unsigned index);

} // namespace vmm::host_interrupts
