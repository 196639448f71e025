// SPDX-License-Identifier: Apache-2.0
//
// Control and debug registers, XCR0 and cache maintenance of this CPU. Hosted tests have no use for these:
// what thinks takes the values as parameters.
#pragma once

#include "arch/x86/regs/control.hpp"

#include <array>

namespace vmm
{

inline u64 read_cr0()
{
    u64 v = 0;
    asm volatile("mov %%cr0, %0" : "=r"(v));
    return v;
}
inline u64 read_cr2()
{
    u64 v = 0;
    asm volatile("mov %%cr2, %0" : "=r"(v));
    return v;
}
inline void write_cr2(u64 v) { asm volatile("mov %0, %%cr2" ::"r"(v)); }
inline u64 read_cr3()
{
    u64 v = 0;
    asm volatile("mov %%cr3, %0" : "=r"(v));
    return v;
}
inline u64 read_cr4()
{
    u64 v = 0;
    asm volatile("mov %%cr4, %0" : "=r"(v));
    return v;
}
inline void write_cr0(u64 v) { asm volatile("mov %0, %%cr0" ::"r"(v) : "memory"); }
inline void write_cr3(u64 v) { asm volatile("mov %0, %%cr3" ::"r"(v) : "memory"); }
inline void write_cr4(u64 v) { asm volatile("mov %0, %%cr4" ::"r"(v) : "memory"); }

inline u64 read_xcr0()
{
    u32 low  = 0;
    u32 high = 0;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (u64{high} << 32) | low;
}
inline void write_xcr0(u64 v)
{
    asm volatile("xsetbv" ::"c"(0), "a"(static_cast<u32>(v)), "d"(static_cast<u32>(v >> 32)) : "memory");
}

// The breakpoint addresses, which VM entry leaves alone and a vCPU switch must move.
inline void read_debug_addresses(std::array<u64, 4>& to)
{
    asm volatile("mov %%db0, %0" : "=r"(to[0]));
    asm volatile("mov %%db1, %0" : "=r"(to[1]));
    asm volatile("mov %%db2, %0" : "=r"(to[2]));
    asm volatile("mov %%db3, %0" : "=r"(to[3]));
}
inline void write_debug_addresses(const std::array<u64, 4>& from)
{
    asm volatile("mov %0, %%db0" ::"r"(from[0]));
    asm volatile("mov %0, %%db1" ::"r"(from[1]));
    asm volatile("mov %0, %%db2" ::"r"(from[2]));
    asm volatile("mov %0, %%db3" ::"r"(from[3]));
}

inline u64 read_dr6()
{
    u64 v = 0;
    asm volatile("mov %%db6, %0" : "=r"(v));
    return v;
}
inline void write_dr6(u64 v) { asm volatile("mov %0, %%db6" ::"r"(v)); }

inline void write_back_caches() { asm volatile("wbinvd" ::: "memory"); }

} // namespace vmm
