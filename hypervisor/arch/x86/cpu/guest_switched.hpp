// SPDX-License-Identifier: Apache-2.0
//
// Registers that VM entry leaves alone and a vCPU switch must move: breakpoint addresses and TSC_AUX.
#pragma once

#include "arch/x86/cpu/cpuid.hpp"
#include "arch/x86/cpu/msr.hpp"
#include "base/bits.hpp"

namespace vmm
{

inline void read_debug_addresses(u64 (&to)[4])
{
    asm volatile("mov %%db0, %0" : "=r"(to[0]));
    asm volatile("mov %%db1, %0" : "=r"(to[1]));
    asm volatile("mov %%db2, %0" : "=r"(to[2]));
    asm volatile("mov %%db3, %0" : "=r"(to[3]));
}

inline void write_debug_addresses(const u64 (&from)[4])
{
    asm volatile("mov %0, %%db0" ::"r"(from[0]));
    asm volatile("mov %0, %%db1" ::"r"(from[1]));
    asm volatile("mov %0, %%db2" ::"r"(from[2]));
    asm volatile("mov %0, %%db3" ::"r"(from[3]));
}

inline bool has_rdtscp() { return cpuid(0x80000001).edx & bit(27); }

} // namespace vmm
