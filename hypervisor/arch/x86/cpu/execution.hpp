// SPDX-License-Identifier: Apache-2.0
//
// What steers the execution of this CPU: the interrupt flag, halting, giving up, the time stamp counter.
#pragma once

#include "base/types.hpp"

namespace vmm
{

inline void disable_interrupts() { asm volatile("cli" ::: "memory"); }

// Waits for one interrupt and takes it: STI covers the next instruction, so nothing slips in between.
inline void halt_until_interrupt() { asm volatile("sti; hlt; cli" ::: "memory"); }

// Takes what interrupts are pending now, without waiting.
inline void take_pending_interrupts() { asm volatile("sti; nop; cli" ::: "memory"); }

[[noreturn]] inline void halt_forever()
{
    for (;;)
        asm volatile("cli; hlt" ::: "memory");
}

#if __STDC_HOSTED__
u64 read_tsc();
[[noreturn]] void triple_fault();
#else
// An exception without an IDT, the last resort of a reboot: the CPU gives up and the chipset resets it.
// [SDM3 6.15, #DF]
[[noreturn]] inline void triple_fault()
{
    struct [[gnu::packed]] {
        u16 limit = 0;
        u64 base  = 0;
    } empty;
    for (;;)
        asm volatile("lidt %0; int3" ::"m"(empty));
}
inline u64 read_tsc()
{
    u32 low  = 0;
    u32 high = 0;
    asm volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (u64{high} << 32) | low;
}
#endif

// As read_tsc(), but not before everything earlier has happened.
inline u64 read_tsc_ordered()
{
#if !__STDC_HOSTED__
    asm volatile("lfence" ::: "memory");
#endif
    return read_tsc();
}

} // namespace vmm
