// SPDX-License-Identifier: Apache-2.0
//
// Which function a host interrupt vector calls. Vectors 0 to 31 are the CPU's exceptions and end in panic
// (or a fixup). Of the rest some mean the same on every CPU, and most are handed out, on each CPU by itself.
// Handlers run on the CPU that took the interrupt, interrupts off.
#pragma once

#include "base/expected.hpp"

namespace vmm
{

using Interrupt_handler = void (*)(void* context);

// When the local APIC gets its EOI: a level-triggered source is to be masked by the handler first, or it
// would interrupt again at once.
enum class Eoi : u8 { before_handler, after_handler, none };

inline constexpr u8 kFirstDynamicVector = 0x30;
inline constexpr u8 kLastDynamicVector  = 0xef;
inline constexpr u8 kTimerVector        = 0xf0;
inline constexpr u8 kWakeVector         = 0xf1; // from another CPU
inline constexpr u8 kApicErrorVector    = 0xfe;
inline constexpr u8 kSpuriousVector     = 0xff; // low four bits set, as old APICs insist

// Of every CPU, outside the dynamic range. At boot only.
void set_handler(u8 vector, Eoi eoi, Interrupt_handler function, void* context);

// A vector of the dynamic range of one CPU.
struct Host_vector {
    u32 cpu;
    u8 vector;
};
// On that CPU or, if it has none left or is out of the reach of devices, on another. Enospc.
Expected<Host_vector> allocate_vector(u32 cpu, Eoi eoi, Interrupt_handler function, void* context);
void change_handler(Host_vector at, Eoi eoi, Interrupt_handler function, void* context);
// Interrupts that are still on their way do nothing. A handler that has begun may still run
// (host_interrupts::wait_for_handlers).
void free_vector(Host_vector at);

} // namespace vmm
