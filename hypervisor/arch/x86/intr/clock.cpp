// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/intr/clock.hpp"

#include "arch/x86/cpu/cpuid.hpp"
#include "arch/x86/cpu/execution.hpp"
#include "arch/x86/cpu/port_io.hpp"
#include "base/bits.hpp"
#include "base/per_cpu.hpp"
#include "debug/log.hpp"
#include "domain/time.hpp"
#include "platform/acpi.hpp"
#include "platform/counter_clock.hpp"
#include "platform/pit.hpp"
#include "platform/rate.hpp"
#include "platform/rtc.hpp"
#include "platform/tsc_pacer.hpp"
#include "sched/timer.hpp"

#include <optional>

namespace vmm
{
namespace
{

constexpr u64 kPmTimerHz     = 3'579'545; // [ACPI 4.8.3.3]
constexpr u64 kMaxErrorPpm   = 500;
constexpr unsigned kAttempts = 5;

class Tsc_clock final : public Clock
{
  public:
    [[nodiscard]] Time now() const override { return Time(pace.scale.apply(read_tsc() - pace.tsc)); }

    Tsc_pace pace{};
};

constinit Tsc_clock tsc_clock;
constinit Counter_clock acpi_clock;
constinit const Clock* chosen = &tsc_clock;
constinit Tsc_info tsc{};
constinit Per_cpu<Tsc_pacer> pacers; // where it is not the TSC
constinit u64 wall_at_zero = 0;

u64 read_tsc_counter(const void*) { return read_tsc_ordered(); }
u64 read_pm_timer(const void* port) { return in32(*static_cast<const u16*>(port)); }
u64 read_pit(const void*) { return 0xffffu - pit_read(); }

constexpr Counter kTsc{read_tsc_counter, nullptr, ~0ull};
constinit u16 pm_timer_port = 0;
constinit std::optional<Counter> pm_timer;

void keep_time(void* context);
constinit Timer keep_time_timer{keep_time, &keep_time_timer};

void keep_time(void* context)
{
    static_cast<Timer*>(context)->start(acpi_clock.now() + acpi_clock.patience());
}

// The best of some attempts, or the first good one.
Rate_measurement measure_tsc(const Counter& reference, u64 hz, u64 ticks)
{
    Rate_measurement best{0, ~0ull};
    for (unsigned i = 0; i < kAttempts && best.error_ppm > kMaxErrorPpm; ++i) {
        const Rate_measurement m = measure_rate(kTsc, reference, hz, ticks);
        if (m.error_ppm < best.error_ppm)
            best = m;
    }
    return best;
}

bool counts(const Counter& c)
{
    const u64 start = c.read(c.context);
    for (unsigned i = 0; i < 1000; ++i) {
        if (c.read(c.context) != start)
            return true;
    }
    return false;
}

void find_pm_timer(const Fadt_info& fadt)
{
    if (fadt.pm_timer.space != Generic_address::Space::io)
        return;
    pm_timer_port = static_cast<u16>(fadt.pm_timer.address);
    const Counter found{read_pm_timer, &pm_timer_port, low_bits(fadt.pm_timer_is_32_bits() ? 32 : 24)};
    if (counts(found))
        pm_timer = found;
}

Rate_measurement measure_by_pm_timer()
{
    return pm_timer ? measure_tsc(*pm_timer, kPmTimerHz, kPmTimerHz / 20) : Rate_measurement{0, ~0ull};
}

Rate_measurement measure_by_pit()
{
    pit_start();
    constexpr Counter timer{read_pit, nullptr, 0xffff};
    return counts(timer) ? measure_tsc(timer, kPitHz, kPitHz / 50) : Rate_measurement{0, ~0ull};
}

bool tsc_is_invariant() { return cpuid_if_there(0x80000007).edx & bit(8); }

bool is_virtual_machine() { return cpuid(1).ecx & bit(31); }

void choose_clock_source(Clock_source wanted)
{
    const Clock_choice choice = choose_clock(wanted, {tsc.invariant, is_virtual_machine(), can_leave_tsc()});
    if (!choice.warning.empty())
        log::warning("{}", choice.warning);
    if (choice.source == Clock_source::acpi_timer)
        leave_tsc();
}

struct Moment {
    u64 tsc;
    Time now;
};

// The counter and the time at once, or nearly: firmware may take the CPU in between, as may the host of a
// machine that is a guest itself, and then it is tried again.
Moment this_moment()
{
    Moment best{};
    for (u64 narrowest = ~0ull, i = 0; i < kAttempts && narrowest > tsc.khz / 100; ++i) { // 10 microseconds
        const u64 before = read_tsc_ordered();
        const Time now   = chosen->now();
        const u64 width  = read_tsc_ordered() - before;
        if (width < narrowest) {
            narrowest = width;
            best      = {before + width / 2, now};
        }
    }
    return best;
}

void read_time_of_day(const Fadt_info& fadt)
{
    const auto seconds = read_rtc(fadt.century);
    if (!seconds)
        log::warning("the battery-backed clock shows no valid date: set the time in the firmware setup");
    wall_at_zero = seconds.value_or(0) * kSecond - (seconds ? chosen->now().value() : 0);
}

} // namespace

Expected<void> init_clock(const Fadt_info& fadt, Clock_source wanted)
{
    find_pm_timer(fadt);
    const char* source = "ACPI timer";
    Rate_measurement m = measure_by_pm_timer();
    if (m.hz == 0) {
        source = "PIT";
        m      = measure_by_pit();
    }
    if (m.hz == 0)
        return fail(Errc::enxio);
    tsc_clock.pace = {read_tsc_ordered(), Time(0), Rate_scale::between(m.hz, kSecond)};
    tsc            = {m.hz / 1000, tsc_is_invariant(), true};
    log::set_clock(tsc_clock);
    log::info("TSC runs at {}.{} MHz, within {} ppm, measured by the {}", m.hz / 1'000'000,
              m.hz / 100'000 % 10, m.error_ppm, source);
    choose_clock_source(wanted);
    read_time_of_day(fadt);
    return {};
}

bool can_leave_tsc() { return pm_timer.has_value(); }

void leave_tsc()
{
    acpi_clock.begin(*pm_timer, kPmTimerHz, chosen->now());
    tsc.is_clock  = false;
    tsc.invariant = false;
    for (u32 cpu = 0; cpu < kMaxCpus; ++cpu)
        pacers.of(cpu).assume(tsc_clock.pace.scale);
    chosen = &acpi_clock;
    log::set_clock(acpi_clock);
    log::info("time is read from the ACPI timer, not from the CPUs' counters");
}

void start_watching_clock()
{
    if (!tsc.is_clock)
        keep_time(&keep_time_timer);
}

const Clock& system_clock() { return *chosen; }
const Tsc_info& tsc_info() { return tsc; }
Tsc_pace tsc_pace() { return tsc.is_clock ? tsc_clock.pace : pacers.here().pace(); }

void resume_tsc_pace()
{
    const Moment at = this_moment();
    pacers.here().resume(at.tsc, at.now);
}

void measure_tsc_pace()
{
    const Moment at = this_moment();
    pacers.here().measure(at.tsc, at.now);
}

u64 wall_clock_at_zero() { return wall_at_zero; }
void set_wall_clock_at_zero(u64 ns) { wall_at_zero = ns; }

} // namespace vmm
