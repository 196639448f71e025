// SPDX-License-Identifier: Apache-2.0
#include "platform/rtc.hpp"

#include "arch/x86/cpu/port_io.hpp"

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

constexpr bool is_leap(unsigned year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

constexpr unsigned days_in(unsigned month, unsigned year)
{
    constexpr unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

constexpr u64 days_before(unsigned year)
{
    const u64 y = year - 1;
    return y * 365 + y / 4 - y / 100 + y / 400;
}

} // namespace

std::optional<u64> unix_seconds(const Rtc_registers& rtc)
{
    const unsigned second = number(rtc, rtc.second), minute = number(rtc, rtc.minute), hour = hour_of(rtc);
    const unsigned day = number(rtc, rtc.day), month = number(rtc, rtc.month), year = year_of(rtc);
    if (second > 60 || minute > 59 || hour > 23 || month < 1 || month > 12 || year < 1970 || day < 1 ||
        day > days_in(month, year))
        return std::nullopt;
    u64 days = days_before(year) - days_before(1970) + day - 1;
    for (unsigned m = 1; m < month; ++m)
        days += days_in(m, year);
    return ((days * 24 + hour) * 60 + minute) * 60 + second;
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
