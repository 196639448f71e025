// SPDX-License-Identifier: Apache-2.0
#include "debug/panic.hpp"

#include "arch/x86/cpu/control_registers.hpp"
#include "arch/x86/cpu/execution.hpp"
#include "arch/x86/cpu/host_paging.hpp"
#include "arch/x86/cpu/image.hpp"
#include "arch/x86/cpu/machine_check.hpp"
#include "arch/x86/intr/local_apic_driver.hpp"
#include "base/bits.hpp"
#include "base/lock_order.hpp"
#include "boot/consoles.hpp"
#include "debug/log.hpp"
#include "debug/symbols.hpp"
#include "platform/console.hpp"
#include "platform/cpus.hpp"
#include "platform/pit.hpp"
#include "platform/power.hpp"

#include <atomic>

namespace vmm
{
namespace
{

constexpr unsigned kMaxFrames   = 24;
constexpr u64 kStackSpan        = 64 * 1024; // no stack is larger, so a chain never goes further up
constexpr unsigned kRebootDelay = 5;         // seconds

constexpr u64 kDoubleFault = 8, kMachineCheck = 18;

bool no_reboot_wanted;
std::atomic<bool> panicking{false};
std::atomic<u32> halted{0};

// One of them may wait for a lock of the log: it gets it when that is broken, and keeps it. So they are
// waited for, but not for ever: one may be where no NMI wakes it.
void stop_others()
{
    constexpr u32 patience = 20'000'000;
    host_apic::stop_other_cpus();
    for (u32 i = 0; i < patience && halted + 1 < cpu_count(); ++i)
        __builtin_ia32_pause();
}

// A second failure inside panic() must not start over. Locks may be held here, whichever they are.
void enter_panic()
{
    disable_interrupts();
    if (panicking.exchange(true)) {
        ++halted;
        halt_forever();
    }
    stop_others();
    Lock_order::watch(false);
    log::set_ring_hook(nullptr);
    log::break_lock();
    break_console_lock();
    console_stop_buffering();
    log::set_thresholds({log::Level::debug, log::Level::debug}, {log::Level::none, log::Level::none});
    start_emergency_consoles();
}

void print_address(u64 address)
{
    const Symbol symbol = find_symbol(address);
    if (symbol.name.empty())
        log::error("    {x}", address);
    else
        log::error("    {x} {} + {x}", address, symbol.name, symbol.offset);
}

// From `rip`, if it is not 0, follows saved frame pointers, which ascend and stay within one stack; anything
// else ends the walk.
void print_backtrace(u64 rip, u64 rbp)
{
    log::error("Called from:");
    if (rip != 0)
        print_address(rip);
    const u64 limit = rbp + kStackSpan;
    for (unsigned i = 0; i < kMaxFrames && rbp != 0 && is_aligned(rbp, 8) && rbp < limit; ++i) {
        if (rbp < 0xffff'8000'0000'0000)
            break;
        const u64* frame = reinterpret_cast<const u64*>(rbp);
        if (!is_code_address(frame[1]))
            break;
        print_address(frame[1] - 1); // inside the call, not after it
        if (frame[0] <= rbp)
            break;
        rbp = frame[0];
    }
}

[[noreturn]] void stop_machine()
{
    if (no_reboot_wanted) {
        log::error("Halted (noreboot).");
        halt_forever();
    }
    log::error("Rebooting in {} seconds; the option noreboot keeps the machine halted here.", kRebootDelay);
    pit_wait(kRebootDelay * 1000);
    power::reset();
}

bool is_in_stack_guard(u64 address)
{
    return is_below_cpu_stack(address) || (address >= reinterpret_cast<u64>(image::boot_stack_guard) &&
                                           address < reinterpret_cast<u64>(image::boot_stack));
}

constexpr std::string_view kExceptions[] = {
    "#DE divide error",
    "#DB debug",
    "NMI non-maskable interrupt",
    "#BP breakpoint",
    "#OF overflow",
    "#BR bound range",
    "#UD invalid opcode",
    "#NM device not available",
    "#DF double fault",
    "? reserved",
    "#TS invalid TSS",
    "#NP segment not present",
    "#SS stack fault",
    "#GP general protection",
    "#PF page fault",
    "? reserved",
    "#MF x87 error",
    "#AC alignment check",
    "#MC machine check",
    "#XM SIMD error",
    "#VE virtualization",
    "#CP control protection",
};

} // namespace

void set_no_reboot(bool no_reboot) { no_reboot_wanted = no_reboot; }

void panic_at(const char* file, int line, const char* what)
{
    enter_panic();
    log::error("****************************************");
    log::error("PANIC: {} ({}:{})", what, file, line);
    print_backtrace(0, reinterpret_cast<u64>(__builtin_frame_address(0)));
    stop_machine();
}

void panic_on_exception(const Exception_frame& f)
{
    enter_panic();
    const auto who = f.vector < std::size(kExceptions) ? kExceptions[f.vector] : "? unexpected exception";
    log::error("****************************************");
    log::error("PANIC: {} (vector {}) in the hypervisor, error code {x}", who, f.vector, f.error_code);
    log::error("rip {x} cs {x} rflags {x} rsp {x} ss {x}", f.rip, f.cs, f.rflags, f.rsp, f.ss);
    log::error("rax {x} rbx {x} rcx {x} rdx {x}", f.rax, f.rbx, f.rcx, f.rdx);
    log::error("rsi {x} rdi {x} rbp {x}", f.rsi, f.rdi, f.rbp);
    log::error("r8 {x} r9 {x} r10 {x} r11 {x}", f.r8, f.r9, f.r10, f.r11);
    log::error("r12 {x} r13 {x} r14 {x} r15 {x}", f.r12, f.r13, f.r14, f.r15);
    log::error("cr0 {x} cr2 {x} cr3 {x} cr4 {x}", read_cr0(), read_cr2(), read_cr3(), read_cr4());
    if (f.vector == kMachineCheck)
        (void)take_machine_check();
    if (f.vector == kDoubleFault && is_in_stack_guard(read_cr2()))
        log::error("The stack has overflowed.");
    print_backtrace(f.rip, f.rbp);
    stop_machine();
}

void refuse(std::string_view format, std::span<const Format_arg> args)
{
    enter_panic();
    log::write(log::Level::error, format, args);
    stop_machine();
}

} // namespace vmm
