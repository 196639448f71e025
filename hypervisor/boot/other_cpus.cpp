// SPDX-License-Identifier: Apache-2.0
//
// The machine's other CPUs, one after another: INIT and start-up messages, the trampoline below 1 MiB, and
// what each does until it can run guests. One that does not come, or is not like the boot CPU, is named and
// left out; the machine does without it. [SDM3 9.4, APM2 14.6]
#include "arch/x86/cpu/cpuid.hpp"
#include "arch/x86/cpu/descriptors.hpp"
#include "arch/x86/cpu/execution.hpp"
#include "arch/x86/cpu/fpu.hpp"
#include "arch/x86/cpu/hardening.hpp"
#include "arch/x86/cpu/host_paging.hpp"
#include "arch/x86/cpu/image.hpp"
#include "arch/x86/decode/topology.hpp"
#include "arch/x86/intr/clock.hpp"
#include "arch/x86/intr/local_apic_driver.hpp"
#include "arch/x86/intr/tsc_agreement.hpp"
#include "arch/x86/vendor.hpp"
#include "boot/boot_state.hpp"
#include "boot/stages.hpp"
#include "debug/log.hpp"
#include "debug/panic.hpp"
#include "domain/time.hpp"
#include "mm/direct_map.hpp"
#include "platform/cpus.hpp"
#include "sched/scheduler.hpp"

#include <atomic>
#include <cstring>

extern "C" {
extern const char trampoline[], trampoline_end[];
// For entry.S.
constinit vmm::u64 other_cpu_root  = 0;
constinit vmm::u64 other_cpu_stack = 0;
}

namespace vmm
{
namespace
{

constexpr u64 kInitWait  = 10 * kMillisecond;
constexpr u64 kAgainWait = 10 * kMillisecond; // before the second start-up message
constexpr u64 kPatience  = 5 * kSecond;       // for a CPU that shares its time with others, as in an emulator

enum class Progress : u32 { called, running, ready, unfit };

// The CPU that is being started.
struct Start {
    Descriptor_tables* tables = nullptr;
    std::atomic<Progress> progress{Progress::called};
    std::string_view why_unfit;
    Tsc_agreement tsc;
};
constinit Start current;
constinit Apic_id_layout layout;
constinit std::atomic<bool> all_known{false}; // no further CPU will come

bool wait_for(Progress least, u64 patience)
{
    const Time end = system_clock().now() + patience;
    while (current.progress.load() < least) {
        if (system_clock().now() > end)
            return false;
        __builtin_ia32_pause();
    }
    return true;
}

// Why this CPU cannot be used beside the boot CPU, or nothing.
std::string_view join_the_others()
{
    const Cpu_facts cpu = read_cpu_facts();
    enable_fpu_on_this_cpu(cpu);
    harden_this_cpu();
    host_apic::init(boot_state.madt.local_apic_address);
    if (const auto why = why_no_guests(cpu); !why.empty())
        return why;
    if (!enable_virtualisation())
        return "its hardware virtualization cannot be turned on";
    return {};
}

// RAM below 1 MiB that is not the firmware's; what is in it may be a module.
Hpa find_trampoline_page()
{
    constexpr u64 conventional_end = 0xa0000;
    for (u64 at = conventional_end - kPageSize; at >= kPageSize; at -= kPageSize) {
        if (memory_is(boot_state.memory, Memory_type::ram, Hpa(at), kPageSize))
            return Hpa(at);
    }
    return Hpa(0);
}

// The page's contents come back when it is no longer needed.
class Trampoline
{
  public:
    explicit Trampoline(Hpa page) : page_(page)
    {
        std::memcpy(kept, to_virtual(page_), kPageSize);
        std::memcpy(to_virtual(page_), trampoline, static_cast<u64>(trampoline_end - trampoline));
    }
    ~Trampoline() { std::memcpy(to_virtual(page_), kept, kPageSize); }
    Trampoline(const Trampoline&)            = delete;
    Trampoline& operator=(const Trampoline&) = delete;

    [[nodiscard]] u8 page_number() const { return static_cast<u8>(page_.value() >> kPageShift); }

  private:
    static constinit std::byte kept[kPageSize];

    Hpa page_;
};
constinit std::byte Trampoline::kept[kPageSize];

bool call_cpu(u32 apic_id, u8 page)
{
    host_apic::send_init(apic_id);
    wait_for(Progress::running, kInitWait); // in vain: without a start-up message none runs
    host_apic::send_startup(apic_id, page);
    if (wait_for(Progress::running, kAgainWait))
        return true;
    host_apic::send_startup(apic_id, page);
    if (wait_for(Progress::running, kPatience))
        return true;
    host_apic::send_init(apic_id); // should it come now, it is not to
    return false;
}

Physical_cpu describe(u32 apic_id, u32 uid)
{
    return {apic_id, uid, apic_id >> layout.core, apic_id >> layout.cache, apic_id >> layout.package};
}

// A counter that could not be set right is none to read the time from.
void leave_tsc_if_it_differs(u32 apic_id)
{
    if (!tsc_info().is_clock || current.tsc.agrees() || !can_leave_tsc())
        return;
    log::warning("CPU with APIC id {}: its time stamp counter does not agree with the boot CPU's", apic_id);
    leave_tsc();
    start_watching_clock();
}

// Where it comes, it runs as CPU number known_cpus.count.
void start_cpu(const Madt_cpu& cpu, u8 page)
{
    auto tables      = make_descriptor_tables(known_cpus.count);
    const auto stack = make_cpu_stack(known_cpus.count);
    if (!tables || !stack) {
        log::warning("CPU with APIC id {}: left out, there is no memory for its stack", cpu.apic_id);
        return;
    }
    current.tsc.reset();
    current.tables   = *tables;
    current.progress = Progress::called;
    other_cpu_stack  = *stack;
    if (!call_cpu(cpu.apic_id, page)) {
        log::warning("CPU with APIC id {}: left out, it did not start within {} s", cpu.apic_id,
                     kPatience / kSecond);
        return;
    }
    current.tsc.compare_as_reference();
    leave_tsc_if_it_differs(cpu.apic_id);
    while (current.progress.load() < Progress::ready)
        __builtin_ia32_pause();
    if (current.progress.load() == Progress::unfit) {
        log::warning("CPU with APIC id {}: left out, {}", cpu.apic_id, current.why_unfit);
        return;
    }
    known_cpus.list[known_cpus.count] = describe(cpu.apic_id, cpu.uid);
    ++known_cpus.count;
}

u32 most_cpus()
{
    const u32 wanted = boot_state.options.max_cpus;
    return wanted != 0 && wanted < kMaxCpus ? wanted : kMaxCpus;
}

void describe_boot_cpu()
{
    layout       = read_apic_id_layout(cpuid);
    const u32 id = host_apic::id();
    u32 uid      = 0;
    for (const Madt_cpu& cpu : boot_state.madt.cpus) {
        if (cpu.apic_id == id)
            uid = cpu.uid;
    }
    known_cpus.list[0] = describe(id, uid);
}

// What the measures against leaks clean at a change of vCPU, a sibling reads meanwhile.
void warn_of_siblings(bool by_core)
{
    const bool leaks = hardening().has(Measure::verw) || hardening().has(Measure::l1d_flush) ||
                       hardening().has(Measure::l1d_fill);
    if (leaks && !by_core && cpus_alike(0, &Physical_cpu::core) != 1)
        log::warning(
            "domains can spy on others from the sibling thread of a core on this CPU: sched-gran=core "
            "keeps them apart");
}

} // namespace

void boot::start_other_cpus()
{
    describe_boot_cpu();
    const auto& cpus = boot_state.madt.cpus;
    const Hpa page   = find_trampoline_page();
    if (cpus.size() > 1 && most_cpus() > 1 && page == Hpa(0)) {
        log::warning("only one CPU is used: there is no memory below 1 MiB to start others in");
    } else if (cpus.size() > 1 && most_cpus() > 1) {
        other_cpu_root = host_page_tables().value();
        const Trampoline start_code(page);
        for (const Madt_cpu& cpu : cpus) {
            if (known_cpus.count == most_cpus())
                break;
            if (cpu.apic_id == known_cpus.list[0].apic_id)
                continue;
            if (host_apic::can_reach(cpu.apic_id))
                start_cpu(cpu, start_code.page_number());
            else
                log::warning("CPU with APIC id {}: left out, only x2APIC mode reaches it", cpu.apic_id);
        }
    }
    log::info("{} of {} CPUs", known_cpus.count, std::max<std::size_t>(cpus.size(), 1));
    const bool by_core = boot_state.options.sched_granularity == Sched_granularity::core;
    if (by_core && !scheduler::choose_cores())
        log::info("sched-gran=core changes nothing: no core has several threads");
    warn_of_siblings(by_core);
    all_known = true;
}

// The others begin here, each on its own stack.
extern "C" [[noreturn]] void start_this_cpu()
{
    load_descriptor_tables(*current.tables);
    enter_host_page_tables(boot_state.cpu);
    current.progress = Progress::running;
    current.tsc.compare_as_other();
    current.why_unfit = join_the_others();
    if (current.why_unfit.empty() && !current.tsc.agrees() && !can_leave_tsc())
        current.why_unfit =
            "its time stamp counter does not agree with the boot CPU's, and there is no other clock";
    if (!current.why_unfit.empty()) {
        current.progress = Progress::unfit;
        halt_forever();
    }
    current.progress = Progress::ready;
    while (!all_known)
        __builtin_ia32_pause();
    scheduler::run_this_cpu();
}

} // namespace vmm
