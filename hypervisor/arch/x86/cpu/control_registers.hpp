// SPDX-License-Identifier: Apache-2.0
//
// Control registers, XCR0, TLB and cache maintenance of this CPU. Hosted tests have no use for these: what
// thinks takes the values as parameters.
#pragma once

#include "arch/x86/regs/control.hpp"

namespace vmm
{

inline u64 read_cr0()
{
    u64 v;
    asm volatile("mov %%cr0, %0" : "=r"(v));
    return v;
}
inline u64 read_cr2()
{
    u64 v;
    asm volatile("mov %%cr2, %0" : "=r"(v));
    return v;
}
inline u64 read_cr3()
{
    u64 v;
    asm volatile("mov %%cr3, %0" : "=r"(v));
    return v;
}
inline u64 read_cr4()
{
    u64 v;
    asm volatile("mov %%cr4, %0" : "=r"(v));
    return v;
}
inline void write_cr0(u64 v) { asm volatile("mov %0, %%cr0" ::"r"(v) : "memory"); }
inline void write_cr2(u64 v) { asm volatile("mov %0, %%cr2" ::"r"(v) : "memory"); }
inline void write_cr3(u64 v) { asm volatile("mov %0, %%cr3" ::"r"(v) : "memory"); }
inline void write_cr4(u64 v) { asm volatile("mov %0, %%cr4" ::"r"(v) : "memory"); }

inline u64 read_xcr0()
{
    u32 low, high;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (u64{high} << 32) | low;
}
inline void write_xcr0(u64 v)
{
    asm volatile("xsetbv" ::"c"(0), "a"(static_cast<u32>(v)), "d"(static_cast<u32>(v >> 32)) : "memory");
}

inline void invalidate_page(const void* address) { asm volatile("invlpg (%0)" ::"r"(address) : "memory"); }
inline void write_back_caches() { asm volatile("wbinvd" ::: "memory"); }

} // namespace vmm
