// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/intr/timer_driver.hpp"

#include "arch/x86/cpu/execution.hpp"
#include "arch/x86/intr/local_apic_driver.hpp"
#include "arch/x86/intr/vectors.hpp"
#include "base/per_cpu.hpp"
#include "debug/log.hpp"
#include "domain/time.hpp"
#include "platform/rate.hpp"
#include "sched/timer.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

constinit Per_cpu<Timer_queue> queues;
constinit Rate_scale ns_to_tsc;
constinit Rate_scale ns_to_ticks;

// A timer set further ahead than this comes too early, finds nothing due and is set again.
constexpr u64 kFurthest = 60 * kSecond;

u64 read_tsc_counter(const void*) { return read_tsc_ordered(); }
u64 read_apic_counter(const void*) { return ~u64{host_apic::timer_count()}; }

// Rounded up, and one more: better a tick late than an interrupt that finds nothing due.
void program(u64 ns_ahead)
{
    ns_ahead = std::min(ns_ahead, kFurthest);
    if (host_apic::waits_for_tsc())
        return host_apic::start_timer_deadline(read_tsc() + ns_to_tsc.apply(ns_ahead) + 1);
    const u64 ticks = ns_to_ticks.apply(ns_ahead) + 1;
    host_apic::start_timer_ticks(static_cast<u32>(std::min<u64>(ticks, ~u32{0})));
}

void on_timer_interrupt(void*)
{
    this_cpu_timers().run(system_clock().now());
    if (const auto next = this_cpu_timers().next())
        timer_deadline_changed(*next);
}

Expected<void> measure_apic_timer()
{
    const u64 tsc_hz = tsc_info().khz * 1000;
    host_apic::start_timer_ticks(~u32{0});
    const Rate_measurement m = measure_rate({read_apic_counter, nullptr, ~u32{0}},
                                            {read_tsc_counter, nullptr, ~0ull}, tsc_hz, tsc_hz / 50);
    host_apic::start_timer_ticks(0);
    if (m.hz == 0)
        return fail(Errc::enxio);
    ns_to_ticks = Rate_scale::between(kSecond, m.hz);
    log::debug("local APIC timer runs at {} kHz", m.hz / 1000);
    return {};
}

} // namespace

Timer_queue& this_cpu_timers() { return queues.here(); }
void timer_deadline_changed(Time when)
{
    const Time now = system_clock().now();
    program(when > now ? when - now : 0);
}

Expected<void> init_timer()
{
    set_handler(kTimerVector, Eoi::before_handler, on_timer_interrupt, nullptr);
    ns_to_tsc = Rate_scale::between(kSecond, tsc_info().khz * 1000);
    if (!tsc_info().is_clock && host_apic::waits_for_tsc())
        host_apic::let_timer_count();
    if (host_apic::waits_for_tsc())
        return {};
    return measure_apic_timer();
}

} // namespace vmm
