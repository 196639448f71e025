// SPDX-License-Identifier: Apache-2.0
//
// Which model-specific registers a guest has.
//
// Those a kernel cannot do without answer and keep what is written: EFER (within its valid bits), PAT, the
// SYSCALL registers, FS and GS bases, TSC_AUX where RDTSCP exists. EFER refuses reserved bits and leaving
// long mode while paging is on. (Registers that hardware virtualisation lets through are checked by the
// CPU, not by the hypervisor, and emulated CPUs do not check them all: left out.) MTRRs are enabled. The TSC
// moves on and reads the same way by RDMSR as by RDTSC. What does not exist faults for reading and for
// writing, and the guest is alive afterwards.
#include "guest/cpu.hpp"
#include "guest/platform.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;

const char* const kTestName = "msr_policy";

namespace
{

constexpr u32 kGeneralProtection = 13;

enum Msr : u32 {
    tsc          = 0x10,
    apic_base    = 0x1b,
    sysenter_cs  = 0x174,
    sysenter_eip = 0x176,
    mtrr_cap     = 0xfe,
    mtrr_default = 0x2ff,
    pat          = 0x277,
    efer         = 0xc0000080,
    star         = 0xc0000081,
    lstar        = 0xc0000082,
    sfmask       = 0xc0000084,
    fs_base      = 0xc0000100,
    gs_base      = 0xc0000101,
    kernel_gs    = 0xc0000102,
    tsc_aux      = 0xc0000103,
};

u64 read(u32 index)
{
    u64 value       = 0;
    const u32 fault = rdmsr_safe(index, value);
    if (fault != kNoFault)
        NOTE(failure, "RDMSR ", hex(index), " faults with vector ", fault);
    return value;
}

void keeps(u32 index, u64 value)
{
    const u64 before = read(index);
    const u32 fault  = wrmsr_safe(index, value);
    if (fault != kNoFault || read(index) != value)
        NOTE(failure, "MSR ", hex(index), " does not keep ", hex(value), ": ", hex(read(index)));
    CHECK_EQUAL(wrmsr_safe(index, before), kNoFault);
}

void refuses(u32 index, u64 value)
{
    const u64 before = read(index);
    if (wrmsr_safe(index, value) != kGeneralProtection)
        NOTE(failure, "MSR ", hex(index), " accepts ", hex(value));
    CHECK_EQUAL(read(index), before);
}

void absent(u32 index)
{
    u64 value = 0;
    if (rdmsr_safe(index, value) != kGeneralProtection)
        NOTE(failure, "MSR ", hex(index), " can be read: ", hex(value));
    if (wrmsr_safe(index, 0) != kGeneralProtection)
        NOTE(failure, "MSR ", hex(index), " can be written");
}

void check_tsc()
{
    const u64 first  = rdtsc();
    const u64 second = read(tsc);
    const u64 third  = rdtsc();
    CHECK(first < second && second < third);
}

} // namespace

void test_main()
{
    CHECK_EQUAL(read(efer) & 0x500, 0x500); // LME, LMA
    keeps(efer, read(efer) | 1);            // SCE
    refuses(efer, read(efer) | 1ull << 63);
    refuses(efer, read(efer) & ~0x100ull);
    keeps(pat, 0x0007040600070406);
    // A bit of CR0 that no CPU has makes no difference to what follows.
    asm volatile("mov %0, %%cr0" : : "r"(read_cr0() | 1u << 6));
    keeps(pat, 0x0007040600070406);
    keeps(efer, read(efer));
    for (const u32 index : {u32{lstar}, u32{kernel_gs}, u32{fs_base}, u32{gs_base}, u32{sysenter_eip}})
        keeps(index, 0xffff8000'00001000);
    keeps(star, 0x0023001000000000);
    keeps(sfmask, 0x47700);
    keeps(sysenter_cs, 0x10);
    if (cpuid(0x80000001).edx & 1u << 27)
        keeps(tsc_aux, 77);
    check_tsc();

    CHECK_EQUAL(read(mtrr_cap) & 0xff, 8);
    CHECK_EQUAL(read(mtrr_default) & 0x800, 0x800);
    CHECK_EQUAL(read(apic_base) & 0xfffff100, 0xfee00100); // where it always is; the boot processor

    u64 value = 0;
    for (const u32 index : {0x4d0u, 0x3fffffffu, 0x4f000000u, 0xc0012345u, 0xdeadbeefu})
        absent(index);
    CHECK_EQUAL(rdmsr_safe(efer, value), kNoFault);
}
