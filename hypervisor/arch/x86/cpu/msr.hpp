// SPDX-License-Identifier: Apache-2.0
//
// Model-specific registers. read_msr and write_msr are for registers that CPUID or the architecture says
// are there; read_msr_safely and write_msr_safely turn the #GP of one that is not into enxio. Hosted tests
// supply these.
#pragma once

#include "arch/x86/regs/msr.hpp"
#include "base/expected.hpp"

namespace vmm
{

#if __STDC_HOSTED__
u64 read_msr(u32 index);
void write_msr(u32 index, u64 value);
#else
inline u64 read_msr(u32 index)
{
    u32 low  = 0;
    u32 high = 0;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
    return (u64{high} << 32) | low;
}
inline void write_msr(u32 index, u64 value)
{
    asm volatile("wrmsr" ::"c"(index), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32))
                 : "memory");
}
#endif

Expected<u64> read_msr_safely(u32 index);
Expected<void> write_msr_safely(u32 index, u64 value);

// Instructions that are allowed to fault, as that one, have an entry {address, where to go on} in the section
// .fixups, and the fault continues there instead of being a panic. Where to go on after a fault at `rip`, or
// 0 when that instruction must not fault.
u64 fixup_for(u64 rip);

} // namespace vmm
