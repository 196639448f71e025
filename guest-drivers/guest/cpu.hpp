// SPDX-License-Identifier: Apache-2.0
//
// Instructions by name, plus the few that may fault wrapped so that a fault is an answer: the wrapper says
// where to go on, and the exception handler (interrupts.cpp) goes there and leaves the vector behind.
#pragma once

#include "guest/types.hpp"

namespace vmm::guest
{

struct Cpuid {
    u32 eax, ebx, ecx, edx;
};

inline Cpuid cpuid(u32 leaf, u32 subleaf = 0)
{
    Cpuid r{};
    asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

inline u64 rdmsr(u32 index)
{
    u32 low  = 0;
    u32 high = 0;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
    return u64{high} << 32 | low;
}
inline void wrmsr(u32 index, u64 value)
{
    asm volatile("wrmsr"
                 :
                 : "c"(index), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32))
                 : "memory");
}
inline u64 rdtsc()
{
    u32 low  = 0;
    u32 high = 0;
    asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return u64{high} << 32 | low;
}
inline void cli() { asm volatile("cli" : : : "memory"); }
inline void sti() { asm volatile("sti" : : : "memory"); }
// Lets in what is pending. (Not PAUSE: QEMU keeps the interrupt shadow over it.)
inline void breathe() { asm volatile("sti; nop; nop; cli" : : : "memory"); }
// Interrupts are on from the HLT on, so that none can slip in before it.
inline void sti_hlt() { asm volatile("sti; hlt" : : : "memory"); }
inline void pause() { asm volatile("pause" : : : "memory"); }

inline u64 read_cr0()
{
    u64 v = 0;
    asm volatile("mov %%cr0, %0" : "=r"(v));
    return v;
}
inline u64 read_cr4()
{
    u64 v = 0;
    asm volatile("mov %%cr4, %0" : "=r"(v));
    return v;
}
inline u64 read_flags()
{
    u64 v = 0;
    asm volatile("pushfq; pop %0" : "=r"(v));
    return v;
}
inline void write_cr4(u64 v) { asm volatile("mov %0, %%cr4" : : "r"(v) : "memory"); }
inline void write_cr3(u64 v) { asm volatile("mov %0, %%cr3" : : "r"(v) : "memory"); }

// While `resume` is not 0, an exception continues there instead of being fatal.
struct Fault_probe {
    u64 resume;
    u32 vector; // kNoFault if there was none
    u32 error_code;
};
extern Fault_probe fault_probe;
inline constexpr u32 kNoFault = ~0u;

// The vector of the fault, or kNoFault. On a fault `value` is 0.
u32 rdmsr_safe(u32 index, u64& value);
u32 wrmsr_safe(u32 index, u64 value);
u32 read_byte_safe(u64 address, u8& value);
u32 write_byte_safe(u64 address, u8 value);
// Runs the instruction sequence at `code`, which has to end with RET.
u32 call_safe(const void* code);
u32 xsetbv_safe(u32 index, u64 value);

} // namespace vmm::guest
