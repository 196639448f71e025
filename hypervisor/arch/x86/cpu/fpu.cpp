// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/cpu/fpu.hpp"

#include "arch/x86/cpu/control_registers.hpp"
#include "arch/x86/cpu/cpuid.hpp"
#include "arch/x86/cpu/features.hpp"
#include "arch/x86/regs/control.hpp"

namespace vmm
{
namespace
{

// x87, SSE, AVX, the three AVX-512 parts and PKRU. Not MPX, not AMX: the latter does not fit a page.
constexpr u64 kXcr0Wanted = 0x2e7;

constinit u64 xcr0_mask           = 0;
constinit u32 area_size           = 512;
// Restoring leaves x87's last instruction and operand as they are, unless an exception is pending.
// [APM2 11.4.4]
constinit bool keeps_x87_pointers = false;

// Where the legacy region has MXCSR and the mask of its valid bits (0: the default), and XSAVE its header.
constexpr unsigned kMxcsr       = 24;
constexpr unsigned kMxcsrMask   = 28;
constexpr unsigned kXsaveHeader = 512;
constexpr u32 kDefaultMxcsrMask = 0xffbf;

bool keeps_pointers(const Cpu_facts& cpu)
{
    constexpr u32 saves_them_always = bit(2); // 8000_0008 EBX
    return cpu.vendor == Cpu_facts::Vendor::amd && !(cpuid_if_there(0x80000008).ebx & saves_them_always);
}

// Something of the hypervisor's takes their place, so that nothing of the vCPU before is found there.
void forget_x87_pointers()
{
    static constexpr u32 nothing = 0;
    asm volatile("fnclex; ffree %%st(7); fildl %0" ::"m"(nothing));
}

} // namespace

void enable_fpu_on_this_cpu(const Cpu_facts& cpu)
{
    keeps_x87_pointers = keeps_pointers(cpu);
    write_cr0((read_cr0() & ~(cr0::em | cr0::ts)) | cr0::mp | cr0::ne);
    u64 cr4_bits = cr4::osfxsr | cr4::osxmmexcpt;
    if (cpuid(1).ecx & bit(26)) {
        cr4_bits |= cr4::osxsave;
        const auto leaf = cpuid(0xd);
        xcr0_mask       = ((u64{leaf.edx} << 32) | leaf.eax) & kXcr0Wanted;
    }
    write_cr4(read_cr4() | cr4_bits);
    if (xcr0_mask) {
        write_xcr0(xcr0_mask);
        area_size = cpuid(0xd).ebx; // for what XCR0 has enabled
    }
}

u32 fpu_area_size() { return area_size; }

u64 guest_xcr0_mask() { return xcr0_mask; }

void init_fpu_area(std::byte* area)
{
    // The legacy region after FNINIT with SSE at reset. XSTATE_BV stays 0, which means initial for the rest.
    auto* words = reinterpret_cast<u32*>(area);
    words[0]    = 0x037f;
    words[6]    = 0x1f80;
}

void mark_legacy_fpu_used(std::byte* area)
{
    if (xcr0_mask)
        *reinterpret_cast<u64*>(area + kXsaveHeader) |= 3;
}

void sanitise_fpu_area(std::byte* area)
{
    alignas(16) std::byte now[512];
    asm volatile("fxsave64 (%0)" ::"r"(now) : "memory");
    u32 mask = *reinterpret_cast<u32*>(now + kMxcsrMask);
    *reinterpret_cast<u32*>(area + kMxcsr) &= mask ? mask : kDefaultMxcsrMask;
    if (!xcr0_mask)
        return;
    auto* header = reinterpret_cast<u64*>(area + kXsaveHeader);
    header[0] &= xcr0_mask;
    for (unsigned i = 1; i < 8; ++i) // compaction, and what is reserved
        header[i] = 0;
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
    if (keeps_x87_pointers)
        forget_x87_pointers();
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
