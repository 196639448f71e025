// SPDX-License-Identifier: Apache-2.0
//
// Which counter system time is read from. The time stamp counter is by far the fastest and the one guests can
// read themselves, but before CPUs promised otherwise it followed the CPU's changes of speed. A virtual
// machine is seldom promised anything, so that it can be moved, and its counter yet runs at one rate; the way
// to its ACPI timer is long. Pure. [SDM3 18.17.1, APM3 Fn8000_0007_EDX]
#pragma once

#include "base/types.hpp"

#include <string_view>

namespace vmm
{

enum class Clock_source : u8 { automatic, tsc, acpi_timer }; // as the option clocksource= has them

struct Clock_facts {
    bool tsc_is_invariant;
    bool is_virtual_machine;
    bool has_acpi_timer;
};

struct Clock_choice {
    Clock_source source;      // not automatic
    std::string_view warning; // empty: none
};

constexpr Clock_choice choose_clock(Clock_source wanted, const Clock_facts& facts)
{
    const bool any_rate = !facts.tsc_is_invariant && !facts.is_virtual_machine;
    if (wanted == Clock_source::tsc)
        return {Clock_source::tsc,
                any_rate ? "clocksource=tsc: time is wrong after this CPU changes its speed" : ""};
    if (wanted == Clock_source::automatic && !any_rate)
        return {Clock_source::tsc, ""};
    if (facts.has_acpi_timer)
        return {Clock_source::acpi_timer, ""};
    return {Clock_source::tsc,
            wanted == Clock_source::acpi_timer
                ? "clocksource=acpi: this machine has no ACPI timer, the TSC is the clock"
                : "time is wrong after this CPU changes its speed, and there is no ACPI timer"};
}

} // namespace vmm
