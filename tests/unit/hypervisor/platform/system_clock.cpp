// SPDX-License-Identifier: Apache-2.0
//
// What system time rests on: the choice of its source, the counter that wraps, and how a CPU's own counter
// stands to it.
#include "platform/clock_choice.hpp"
#include "platform/counter_clock.hpp"
#include "platform/tsc_pacer.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>

using namespace vmm;

namespace
{

constexpr u64 kHz = 3'579'545;

u64 read_u64(const void* context) { return *static_cast<const u64*>(context); }

Clock_source chosen(Clock_source wanted, bool invariant, bool is_virtual, bool acpi)
{
    return choose_clock(wanted, {invariant, is_virtual, acpi}).source;
}

bool warned(Clock_source wanted, bool invariant, bool is_virtual, bool acpi)
{
    return !choose_clock(wanted, {invariant, is_virtual, acpi}).warning.empty();
}

} // namespace

TEST_CASE("clock choice: the TSC where its rate is promised, or in a virtual machine")
{
    using enum Clock_source;
    CHECK(chosen(automatic, true, false, true) == tsc);
    CHECK(chosen(automatic, false, true, true) == tsc);
    CHECK(chosen(automatic, false, false, true) == acpi_timer);
    CHECK_FALSE(warned(automatic, false, false, true));
}

TEST_CASE("clock choice: what is asked for is done, with a warning where it is unwise or cannot be")
{
    using enum Clock_source;
    CHECK(chosen(acpi_timer, true, false, true) == acpi_timer);
    CHECK(chosen(tsc, false, false, true) == tsc);
    CHECK(warned(tsc, false, false, true));
    CHECK_FALSE(warned(tsc, true, false, true));
    CHECK(chosen(acpi_timer, true, false, false) == tsc);
    CHECK(warned(acpi_timer, true, false, false));
    CHECK(chosen(automatic, false, false, false) == tsc);
    CHECK(warned(automatic, false, false, false));
}

TEST_CASE("counter clock: goes on over wraps of 24 and of 32 bits")
{
    for (const u64 mask : {u64{0xffffff}, u64{0xffffffff}}) {
        u64 counter = mask - 5, real = 0;
        Counter_clock clock;
        clock.begin({read_u64, &counter, mask}, kHz, Time(1'000'000));
        CHECK(clock.now() == Time(1'000'000));
        const u64 step = clock.patience() / kMicrosecond * kHz / 1'000'000; // ticks
        CHECK(step >= mask / 5);
        for (unsigned i = 1; i <= 100; ++i) {
            real += step;
            counter           = (mask - 5 + real) & mask;
            const u64 exact   = 1'000'000 + static_cast<u64>(real * (__int128{kSecond}) / kHz);
            const auto off_by = static_cast<s64>(clock.now().value() - exact);
            CHECK(std::llabs(off_by) <= static_cast<s64>(real / 1'000'000 + 1)); // 1 ppm at most
        }
    }
}

TEST_CASE("TSC pacer: system time is read right while the counter keeps its rate, and soon after it changed")
{
    Tsc_pacer pacer;
    pacer.assume(Rate_scale::between(2'000'000'000, kSecond));
    const auto read = [&](u64 tsc) {
        const Tsc_pace& p = pacer.pace();
        return p.at.value() + p.scale.apply(tsc - p.tsc);
    };
    u64 tsc = 12'345, now = 5 * kSecond;
    pacer.resume(tsc, Time(now));
    CHECK(read(tsc + 200'000) == now + 100 * kMicrosecond);

    // Half as fast from now on: off by no more than half of what passes until it is measured.
    tsc += 100'000'000;
    now += 100 * kMillisecond;
    CHECK(read(tsc) == Approx(now - 50 * kMillisecond));
    pacer.measure(tsc, Time(now));
    CHECK(read(tsc) == now);
    CHECK(read(tsc + 100'000) == now + 100 * kMicrosecond);

    // It stood still while the CPU was idle: its rate is believed to be what it was.
    now += kSecond;
    pacer.resume(tsc, Time(now));
    CHECK(read(tsc) == now);
    CHECK(read(tsc + 100'000) == now + 100 * kMicrosecond);
}

TEST_CASE("TSC pacer: no rate is taken from too short a time, nor from none")
{
    Tsc_pacer pacer;
    pacer.assume(Rate_scale::between(1'000'000'000, kSecond));
    pacer.resume(0, Time(0));
    pacer.measure(50, Time(100));
    CHECK(pacer.pace().scale.apply(1'000'000) == 1'000'000);
    pacer.measure(50, Time(kSecond));
    CHECK(pacer.pace().scale.apply(1'000'000) == 1'000'000);
    CHECK(pacer.pace().at == Time(kSecond));
}
