// SPDX-License-Identifier: Apache-2.0
#include "guest/cpu.hpp"

namespace vmm::guest
{

constinit Fault_probe fault_probe{0, kNoFault, 0};

// Announces label 1 as the place to go on after a fault in what follows.
#define PROBE "lea 1f(%%rip), %%r8\n\tmov %%r8, %[resume]\n\t"

namespace
{

void begin() { fault_probe.vector = kNoFault; }

u32 end()
{
    fault_probe.resume = 0;
    return fault_probe.vector;
}

} // namespace

u32 rdmsr_safe(u32 index, u64& value)
{
    u32 low  = 0;
    u32 high = 0;
    begin();
    asm volatile(PROBE "rdmsr\n1:"
                 : "+a"(low), "+d"(high), [resume] "=m"(fault_probe.resume)
                 : "c"(index)
                 : "r8", "memory");
    const u32 vector = end();
    value            = vector == kNoFault ? u64{high} << 32 | low : 0;
    return vector;
}

u32 wrmsr_safe(u32 index, u64 value)
{
    begin();
    asm volatile(PROBE "wrmsr\n1:"
                 : [resume] "=m"(fault_probe.resume)
                 : "c"(index), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32))
                 : "r8", "memory");
    return end();
}

u32 read_byte_safe(u64 address, u8& value)
{
    u8 byte = 0;
    begin();
    asm volatile(PROBE "movb (%[at]), %[byte]\n1:"
                 : [byte] "+q"(byte), [resume] "=m"(fault_probe.resume)
                 : [at] "r"(address)
                 : "r8", "memory");
    value = byte;
    return end();
}

u32 write_byte_safe(u64 address, u8 value)
{
    begin();
    asm volatile(PROBE "movb %[byte], (%[at])\n1:"
                 : [resume] "=m"(fault_probe.resume)
                 : [at] "r"(address), [byte] "q"(value)
                 : "r8", "memory");
    return end();
}

u32 xsetbv_safe(u32 index, u64 value)
{
    begin();
    asm volatile(PROBE "xsetbv\n1:"
                 : [resume] "=m"(fault_probe.resume)
                 : "c"(index), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32))
                 : "r8", "memory");
    return end();
}

// The stack pointer is put back by hand: after a fault the return address is still on the stack.
u32 call_safe(const void* code)
{
    begin();
    asm volatile("mov %%rsp, %%r12\n\t" PROBE "call *%[code]\n1:\n\tmov %%r12, %%rsp"
                 : [resume] "=m"(fault_probe.resume)
                 : [code] "r"(code)
                 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "memory", "cc");
    return end();
}

} // namespace vmm::guest
