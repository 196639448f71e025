// SPDX-License-Identifier: Apache-2.0
#include "platform/rtc.hpp"

#include "arch/x86/cpu/port_io.hpp"

#include <chrono>

namespace vmm
{
namespace
{

constexpr u16 kIndex = 0x70;
constexpr u16 kData  = 0x71;

constexpr u8 kStatusA          = 0x0a;
constexpr u8 kStatusB          = 0x0b;
constexpr u8 kUpdateInProgress = 0x80;
constexpr u8 kBinary           = 0x04;
constexpr u8 k24Hours          = 0x02;
constexpr u8 kAfternoon        = 0x80;
// An update takes 2 ms, a read about 2 us.
constexpr unsigned kPatience   = 100'000;

u8 read_register(u8 index)
{
    out8(kIndex, index);
    return in8(kData);
}

Rtc_registers read_all(u8 century_index)
{
    return {read_register(0),
            read_register(2),
            read_register(4),
            read_register(7),
            read_register(8),
            read_register(9),
            century_index != 0 ? read_register(century_index) : u8{0},
            read_register(kStatusB)};
}

unsigned number(const Rtc_registers& rtc, u8 value)
{
    return rtc.status_b & kBinary ? value : (value >> 4) * 10u + (value & 15u);
}

unsigned hour_of(const Rtc_registers& rtc)
{
    if (rtc.status_b & k24Hours)
        return number(rtc, rtc.hour);
    const unsigned hour = number(rtc, static_cast<u8>(rtc.hour & ~kAfternoon)) % 12;
    return rtc.hour & kAfternoon ? hour + 12 : hour;
}

unsigned year_of(const Rtc_registers& rtc)
{
    const unsigned year = number(rtc, rtc.year);
    if (rtc.century != 0)
        return number(rtc, rtc.century) * 100 + year;
    return year < 70 ? 2000 + year : 1900 + year;
}

} // namespace

std::optional<u64> unix_seconds(const Rtc_registers& rtc)
{
    using namespace std::chrono;
    const unsigned seconds = number(rtc, rtc.second), minutes = number(rtc, rtc.minute), hours = hour_of(rtc);
    const year_month_day date{year(static_cast<int>(year_of(rtc))), month(number(rtc, rtc.month)),
                              day(number(rtc, rtc.day))};
    if (seconds > 60 || minutes > 59 || hours > 23 || !date.ok() || date.year() < 1970y)
        return std::nullopt;
    const auto days = static_cast<u64>(sys_days(date).time_since_epoch().count());
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
}

std::optional<u64> read_rtc(u8 century_index)
{
    // Two equal readings outside an update cannot both be torn.
    for (unsigned i = 0; i < kPatience; ++i) {
        if (read_register(kStatusA) & kUpdateInProgress)
            continue;
        const Rtc_registers first = read_all(century_index);
        if (!(read_register(kStatusA) & kUpdateInProgress) && first == read_all(century_index))
            return unix_seconds(first);
    }
    return std::nullopt;
}

} // namespace vmm
