// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/intr/local_apic_driver.hpp"

#include "arch/x86/cpu/cpuid.hpp"
#include "arch/x86/cpu/msr.hpp"
#include "arch/x86/intr/vectors.hpp"
#include "arch/x86/regs/local_apic.hpp"
#include "debug/log.hpp"
#include "mm/direct_map.hpp"

namespace vmm::host_apic
{
namespace
{

using namespace apic;

constexpr u32 kDeliveryNmi     = 4u << 8;
constexpr u32 kDeliveryInit    = 5u << 8;
constexpr u32 kDeliveryStartup = 6u << 8;
constexpr u32 kCommandPending  = 1u << 12; // only in a register page
constexpr u32 kToAllOthers     = 3u << 18;
constexpr u32 kTimerDeadline   = 2u << 17;
constexpr u32 kDivideByOne     = 0xb;

constinit bool x2apic             = false;
constinit bool tsc_deadline       = false;
constinit bool timer_counts       = false; // although the TSC would do, too
constinit volatile u32* registers = nullptr;

u32 read(Register r) { return x2apic ? static_cast<u32>(read_msr(kFirstMsr + r)) : registers[r * 4]; }

void write(Register r, u32 value)
{
    if (x2apic)
        write_msr(kFirstMsr + r, value);
    else
        registers[r * 4] = value;
}

// In a register page the message goes out with the write of the low half, and the one before it has to be
// out first. [SDM3 11.6.1, 11.12.9]
void command(u32 apic_id, u32 low)
{
    if (x2apic) {
        // The write serializes nothing, and what it tells the other CPU of must be there. [SDM3 11.12.3]
        asm volatile("mfence; lfence" ::: "memory");
        return write_msr(kFirstMsr + reg_command, u64{apic_id} << 32 | low);
    }
    while (read(reg_command) & kCommandPending)
        __builtin_ia32_pause();
    write(reg_command_high, apic_id << 24);
    write(reg_command, low);
}

void on_error(void*)
{
    write(reg_error_status, 0);
    log::guest(log::Level::warning, "local APIC error, status {x}", read(reg_error_status));
}

void do_nothing(void*) {}

void turn_on(Hpa page)
{
    const Cpuid features = cpuid(1);
    tsc_deadline         = (features.ecx & bit(24)) && !timer_counts;
    x2apic               = features.ecx & bit(21);
    const u64 base       = read_msr(kBaseMsr);
    // From off to x2APIC takes two steps. [SDM3 11.12.5]
    write_msr(kBaseMsr, base | kBaseEnable);
    if (x2apic)
        write_msr(kBaseMsr, base | kBaseEnable | kBaseX2apic);
    else
        registers = to_virtual<volatile u32>(page);
}

void mask_local_sources()
{
    const u32 highest_lvt = field(read(reg_version), 23, 16);
    write(reg_lvt_timer, kLvtMasked);
    write(reg_lvt_lint0, kLvtMasked);
    write(reg_lvt_lint1, kDeliveryNmi);
    if (highest_lvt >= 4)
        write(reg_lvt_counters, kLvtMasked);
    if (highest_lvt >= 5)
        write(reg_lvt_thermal, kLvtMasked);
    if (highest_lvt >= 6)
        write(reg_lvt_cmci, kLvtMasked);
}

void set_timer_mode()
{
    write(reg_lvt_timer, tsc_deadline ? kTimerVector | kTimerDeadline : kTimerVector);
    // That store to the register page must be done before the deadline's MSR is first written.
    // [SDM3 11.5.4.1]
    asm volatile("mfence" ::: "memory");
}

} // namespace

void init(Hpa page)
{
    turn_on(page);
    set_handler(kSpuriousVector, Eoi::none, do_nothing, nullptr);
    set_handler(kApicErrorVector, Eoi::before_handler, on_error, nullptr);
    set_handler(kWakeVector, Eoi::before_handler, do_nothing, nullptr);
    write(reg_tpr, 0);
    mask_local_sources();
    write(reg_spurious, kSpuriousEnable | kSpuriousVector);
    write(reg_lvt_error, kApicErrorVector);
    write(reg_divide, kDivideByOne);
    set_timer_mode();
    log::debug("local APIC {} in {} mode, timer by {}", id(), x2apic ? "x2APIC" : "xAPIC",
               tsc_deadline ? "TSC deadline" : "count");
}

void end_of_interrupt() { write(reg_eoi, 0); }

u32 id() { return x2apic ? read(reg_id) : read(reg_id) >> 24; }

bool can_reach(u32 apic_id) { return x2apic || apic_id < 0xff; }

void send(u32 apic_id, u8 vector) { command(apic_id, static_cast<u32>(kCommandAssert) | vector); }
void send_init(u32 apic_id) { command(apic_id, static_cast<u32>(kCommandAssert) | kDeliveryInit); }
void send_startup(u32 apic_id, u8 page)
{
    command(apic_id, static_cast<u32>(kCommandAssert) | kDeliveryStartup | page);
}

void stop_other_cpus()
{
    if (x2apic || registers)
        command(0, static_cast<u32>(kCommandAssert) | kToAllOthers | kDeliveryNmi);
}

bool waits_for_tsc() { return tsc_deadline; }

void let_timer_count()
{
    timer_counts = true;
    tsc_deadline = false;
    set_timer_mode();
}

void start_timer_ticks(u32 ticks) { write(reg_initial_count, ticks); }

void start_timer_deadline(u64 tsc) { write_msr(msr::kTscDeadline, tsc); }

u32 timer_count() { return read(reg_current_count); }

} // namespace vmm::host_apic
