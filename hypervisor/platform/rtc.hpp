// SPDX-License-Identifier: Apache-2.0
//
// The battery-backed clock, which gives the time of day at boot. [MC146818 data sheet]
#pragma once

#include "base/types.hpp"

#include <optional>

namespace vmm
{

// The registers as they are read, in whatever form status B says.
struct Rtc_registers {
    u8 second, minute, hour, day, month, year;
    u8 century; // 0 when the machine has none
    u8 status_b;

    bool operator==(const Rtc_registers&) const = default;
};

// Seconds since 1970-01-01 UTC, nothing for what is no date (an empty battery). Pure.
std::optional<u64> unix_seconds(const Rtc_registers& rtc);

// Reads the clock; `century_index` as the FADT gives it, 0 for none.
std::optional<u64> read_rtc(u8 century_index);

} // namespace vmm
