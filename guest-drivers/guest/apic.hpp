// SPDX-License-Identifier: Apache-2.0
//
// The local APIC in x2APIC mode: its registers are MSRs. [SDM3 11.12]
#pragma once

#include "guest/cpu.hpp"

namespace vmm::guest::apic
{

enum Msr : u32 {
    base          = 0x1b,
    id            = 0x802,
    version       = 0x803,
    tpr           = 0x808,
    ppr           = 0x80a,
    eoi           = 0x80b,
    ldr           = 0x80d,
    spurious      = 0x80f,
    isr0          = 0x810,
    irr0          = 0x820,
    esr           = 0x828,
    icr           = 0x830,
    lvt_timer     = 0x832,
    lvt_lint0     = 0x835,
    timer_initial = 0x838,
    timer_current = 0x839,
    timer_divide  = 0x83e,
    self_ipi      = 0x83f,
};

inline constexpr u64 kBaseEnable = 1u << 11;
inline constexpr u64 kBaseX2apic = 1u << 10;

// Switches to x2APIC mode if need be and enables the APIC in software.
inline void start()
{
    const u64 now = rdmsr(base);
    if (!(now & kBaseX2apic))
        wrmsr(base, now | kBaseEnable | kBaseX2apic);
    wrmsr(spurious, 0x1ff);
}
inline void end_of_interrupt() { wrmsr(eoi, 0); }
inline void send_to_self(u8 vector) { wrmsr(self_ipi, vector); }

} // namespace vmm::guest::apic
