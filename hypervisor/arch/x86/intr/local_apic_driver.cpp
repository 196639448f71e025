// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/intr/local_apic_driver.hpp"

#include "arch/x86/cpu/cpuid.hpp"
#include "arch/x86/cpu/msr.hpp"
#include "arch/x86/intr/vectors.hpp"
#include "debug/log.hpp"
#include "mm/direct_map.hpp"

namespace vmm::host_apic
{
namespace
{

// Offsets in the register page; in x2APIC mode the MSR is 0x800 + offset / 16. [SDM3 table 11-1, 11-6]
enum Register : u32 {
    reg_id          = 0x020,
    reg_version     = 0x030,
    reg_tpr         = 0x080,
    reg_eoi         = 0x0b0,
    reg_svr         = 0x0f0,
    reg_esr         = 0x280,
    reg_lvt_cmci    = 0x2f0,
    reg_lvt_timer   = 0x320,
    reg_lvt_thermal = 0x330,
    reg_lvt_perf    = 0x340,
    reg_lvt_lint0   = 0x350,
    reg_lvt_lint1   = 0x360,
    reg_lvt_error   = 0x370,
    reg_initial     = 0x380,
    reg_current     = 0x390,
    reg_divide      = 0x3e0,
};

constexpr u64 kBaseEnable     = bit(11);
constexpr u64 kBaseX2apic     = bit(10);
constexpr u32 kSoftwareEnable = 1u << 8;
constexpr u32 kMasked         = 1u << 16;
constexpr u32 kDeliveryNmi    = 4u << 8;
constexpr u32 kTimerDeadline  = 2u << 17;
constexpr u32 kDivideByOne    = 0xb;

constinit bool x2apic             = false;
constinit bool tsc_deadline       = false;
constinit volatile u32* registers = nullptr;

u32 read(Register r)
{
    return x2apic ? static_cast<u32>(read_msr(msr::kX2apicFirst + r / 16)) : registers[r / 4];
}

void write(Register r, u32 value)
{
    if (x2apic)
        write_msr(msr::kX2apicFirst + r / 16, value);
    else
        registers[r / 4] = value;
}

void on_error(void*)
{
    write(reg_esr, 0);
    log::guest(log::Level::warning, "local APIC error, status {x}", read(reg_esr));
}

void do_nothing(void*) {}

void turn_on(Hpa page)
{
    const Cpuid features = cpuid(1);
    tsc_deadline         = features.ecx & bit(24);
    x2apic               = features.ecx & bit(21);
    const u64 base       = read_msr(msr::kApicBase);
    // From off to x2APIC takes two steps. [SDM3 11.12.5]
    write_msr(msr::kApicBase, base | kBaseEnable);
    if (x2apic)
        write_msr(msr::kApicBase, base | kBaseEnable | kBaseX2apic);
    else
        registers = to_virtual<volatile u32>(page);
}

void mask_local_sources()
{
    const u32 highest_lvt = field(read(reg_version), 23, 16);
    write(reg_lvt_timer, kMasked);
    write(reg_lvt_lint0, kMasked);
    write(reg_lvt_lint1, kDeliveryNmi);
    if (highest_lvt >= 4)
        write(reg_lvt_perf, kMasked);
    if (highest_lvt >= 5)
        write(reg_lvt_thermal, kMasked);
    if (highest_lvt >= 6)
        write(reg_lvt_cmci, kMasked);
}

} // namespace

void init(Hpa page)
{
    turn_on(page);
    set_handler(kSpuriousVector, Eoi::none, do_nothing, nullptr);
    set_handler(kApicErrorVector, Eoi::before_handler, on_error, nullptr);
    write(reg_tpr, 0);
    mask_local_sources();
    write(reg_svr, kSoftwareEnable | kSpuriousVector);
    write(reg_lvt_error, kApicErrorVector);
    write(reg_divide, kDivideByOne);
    write(reg_lvt_timer, tsc_deadline ? kTimerVector | kTimerDeadline : kTimerVector);
    // That store to the register page must be done before the deadline's MSR is first written.
    // [SDM3 11.5.4.1]
    asm volatile("mfence" ::: "memory");
    log::debug("local APIC {} in {} mode, timer by {}", id(), x2apic ? "x2APIC" : "xAPIC",
               tsc_deadline ? "TSC deadline" : "count");
}

void end_of_interrupt() { write(reg_eoi, 0); }

u32 id() { return x2apic ? read(reg_id) : read(reg_id) >> 24; }

bool has_tsc_deadline() { return tsc_deadline; }

void start_timer_ticks(u32 ticks) { write(reg_initial, ticks); }

void start_timer_deadline(u64 tsc) { write_msr(msr::kTscDeadline, tsc); }

u32 timer_count() { return read(reg_current); }

} // namespace vmm::host_apic
