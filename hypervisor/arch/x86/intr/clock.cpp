// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/intr/clock.hpp"

#include "arch/x86/cpu/cpuid.hpp"
#include "arch/x86/cpu/execution.hpp"
#include "arch/x86/cpu/port_io.hpp"
#include "base/bits.hpp"
#include "debug/log.hpp"
#include "domain/time.hpp"
#include "platform/acpi.hpp"
#include "platform/pit.hpp"
#include "platform/rate.hpp"
#include "platform/rtc.hpp"

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
    [[nodiscard]] Time now() const override { return Time(info.scale.apply(read_tsc() - info.tsc_at_zero)); }

    Tsc_info info{};
};

constinit Tsc_clock tsc_clock;
constinit u64 wall_at_zero = 0;

u64 read_tsc_counter(const void*) { return read_tsc_ordered(); }
u64 read_pm_timer(const void* port) { return in32(*static_cast<const u16*>(port)); }
u64 read_pit(const void*) { return 0xffffu - pit_read(); }

constexpr Counter kTsc{read_tsc_counter, nullptr, ~0ull};

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

Rate_measurement measure_by_pm_timer(const Fadt_info* fadt)
{
    if (!fadt || fadt->pm_timer.space != Generic_address::Space::io)
        return {0, ~0ull};
    const u16 port = static_cast<u16>(fadt->pm_timer.address);
    const Counter timer{read_pm_timer, &port, low_bits(fadt->pm_timer_is_32_bits() ? 32 : 24)};
    return counts(timer) ? measure_tsc(timer, kPmTimerHz, kPmTimerHz / 20) : Rate_measurement{0, ~0ull};
}

Rate_measurement measure_by_pit()
{
    pit_start();
    constexpr Counter timer{read_pit, nullptr, 0xffff};
    return counts(timer) ? measure_tsc(timer, kPitHz, kPitHz / 50) : Rate_measurement{0, ~0ull};
}

bool tsc_is_invariant() { return cpuid(0x80000000).eax >= 0x80000007 && (cpuid(0x80000007).edx & bit(8)); }

void read_time_of_day(const Fadt_info* fadt)
{
    const auto seconds = read_rtc(fadt ? fadt->century : u8{0});
    if (!seconds)
        log::warning("the battery-backed clock shows no valid date: set the time in the firmware setup");
    wall_at_zero = seconds.value_or(0) * kSecond - (seconds ? tsc_clock.now().value() : 0);
}

} // namespace

Expected<void> init_clock(const Fadt_info* fadt)
{
    const char* source = "ACPI timer";
    Rate_measurement m = measure_by_pm_timer(fadt);
    if (m.hz == 0) {
        source = "PIT";
        m      = measure_by_pit();
    }
    if (m.hz == 0)
        return fail(Errc::enxio);
    tsc_clock.info = {Rate_scale::between(m.hz, kSecond), read_tsc_ordered(), m.hz / 1000,
                      tsc_is_invariant()};
    log::set_clock(tsc_clock);
    log::info("TSC runs at {}.{} MHz, within {} ppm, measured by the {}", m.hz / 1'000'000,
              m.hz / 100'000 % 10, m.error_ppm, source);
    if (!tsc_clock.info.invariant)
        log::info("this CPU does not promise a constant TSC rate; time may drift when it changes speed");
    read_time_of_day(fadt);
    return {};
}

const Clock& system_clock() { return tsc_clock; }
const Tsc_info& tsc_info() { return tsc_clock.info; }
u64 wall_clock_at_zero() { return wall_at_zero; }
void set_wall_clock_at_zero(u64 ns) { wall_at_zero = ns; }

} // namespace vmm
