// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/cpu/fpu.hpp"

#include "arch/x86/cpu/control_registers.hpp"
#include "arch/x86/cpu/cpuid.hpp"
#include "arch/x86/regs/control.hpp"

namespace vmm
{
namespace
{

// x87, SSE, AVX, the three AVX-512 parts and PKRU. Not MPX, not AMX: the latter does not fit a page.
constexpr u64 kXcr0Wanted = 0x2e7;

constinit u64 xcr0_mask = 0;

} // namespace

void enable_fpu_on_this_cpu()
{
    write_cr0((read_cr0() & ~(cr0::em | cr0::ts)) | cr0::mp | cr0::ne);
    u64 cr4_bits = cr4::osfxsr | cr4::osxmmexcpt;
    if (cpuid(1).ecx & bit(26)) {
        cr4_bits |= cr4::osxsave;
        const auto leaf = cpuid(0xd);
        xcr0_mask       = ((u64{leaf.edx} << 32) | leaf.eax) & kXcr0Wanted;
    }
    write_cr4(read_cr4() | cr4_bits);
    if (xcr0_mask)
        write_xcr0(xcr0_mask);
}

u64 guest_xcr0_mask() { return xcr0_mask; }

void init_fpu_area(std::byte* area)
{
    // The legacy region after FNINIT with SSE at reset. XSTATE_BV stays 0, which means initial for the rest.
    auto* words = reinterpret_cast<u32*>(area);
    words[0]    = 0x037f;
    words[6]    = 0x1f80;
}

void save_fpu(std::byte* area)
{
    if (xcr0_mask) {
        write_xcr0(xcr0_mask);
        asm volatile("xsave64 (%0)" ::"r"(area), "a"(~0u), "d"(~0u) : "memory");
    } else {
        asm volatile("fxsave64 (%0)" ::"r"(area) : "memory");
    }
}

void restore_fpu(const std::byte* area, u64 guest_xcr0)
{
    if (xcr0_mask) {
        write_xcr0(xcr0_mask);
        asm volatile("xrstor64 (%0)" ::"r"(area), "a"(~0u), "d"(~0u) : "memory");
        write_xcr0(guest_xcr0);
    } else {
        asm volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
    }
}

void set_guest_xcr0(u64 value) { write_xcr0(value); }

u64 read_guest_xcr0() { return xcr0_mask ? read_xcr0() & xcr0_mask : 1; }

} // namespace vmm
