// SPDX-License-Identifier: Apache-2.0
//
// The physical local APIC of this CPU: EOI, its timer, its error and spurious vectors. Driven as x2APIC
// through MSRs where the CPU has it, else through its register page. (The guests' APICs are in emul.)
// [SDM3 11, APM2 16]
#pragma once

#include "base/types.hpp"

namespace vmm::host_apic
{

// Turns it on with every local source masked, except the NMI pin. `page` is where ACPI says the registers
// are. Called once on each CPU, after exceptions work.
void init(Hpa page);

void end_of_interrupt();
[[nodiscard]] u32 id();
// Whether a CPU with that id can be reached: without x2APIC only the first 255 can.
[[nodiscard]] bool can_reach(u32 apic_id);

// Messages to another CPU: an interrupt; what starts it, in real mode at a page below 1 MiB. [SDM3 9.4.4]
void send(u32 apic_id, u8 vector);
void send_init(u32 apic_id);
void send_startup(u32 apic_id, u8 page);
// In a panic: an NMI to every other CPU, whose handler finds that there is a panic already and stops.
void stop_other_cpus();

// The timer, one shot, raising kTimerVector. Either the counter runs down `ticks` (0 stops it), or, where
// the CPU has it, the interrupt comes when the TSC reaches `deadline` (0: never). On the boot CPU, before
// there are others: the counter shall be used, whatever the CPU has.
[[nodiscard]] bool waits_for_tsc();
void let_timer_count();
void start_timer_ticks(u32 ticks);
void start_timer_deadline(u64 tsc);
// For calibration: what the counter stands at.
[[nodiscard]] u32 timer_count();

} // namespace vmm::host_apic
