// SPDX-License-Identifier: Apache-2.0
#include "platform/rtc.hpp"

#include "ports.hpp"

#include <catch2/catch.hpp>

using namespace vmm;

namespace
{

constexpr u8 kBinary24 = 0x06, kBcd24 = 0x02, kBcd12 = 0x00;

} // namespace

TEST_CASE("rtc: dates")
{
    CHECK(unix_seconds({0, 0, 0, 1, 1, 70, 19, kBinary24}) == 0u);
    CHECK(unix_seconds({59, 59, 23, 31, 12, 99, 19, kBinary24}) == 946684799u);
    CHECK(unix_seconds({0, 0, 0, 29, 2, 24, 20, kBinary24}) == 1709164800u);
    CHECK(unix_seconds({0, 0, 0, 1, 3, 100 - 100, 21, kBinary24}) == 4107542400u); // 2100 is no leap year
}

TEST_CASE("rtc: forms of the registers")
{
    CHECK(unix_seconds({0x56, 0x34, 0x12, 0x21, 0x11, 0x26, 0x20, kBcd24}) == 1795264496u);
    // 12:30 a.m. and p.m.
    CHECK(unix_seconds({0, 0x30, 0x12, 1, 1, 0x70, 0x19, kBcd12}) == 1800u);
    CHECK(unix_seconds({0, 0x30, 0x92, 1, 1, 0x70, 0x19, kBcd12}) == 12u * 3600 + 1800);
    CHECK(unix_seconds({0, 0, 0x81, 1, 1, 0x70, 0x19, kBcd12}) == 13u * 3600);
    // Without a century the two digits are of 1970 to 2069.
    CHECK(unix_seconds({0, 0, 0, 1, 1, 0x70, 0, kBcd24}) == 0u);
    CHECK(unix_seconds({0, 0, 0, 1, 1, 0x26, 0, kBcd24}) == 1767225600u);
}

TEST_CASE("rtc: what is no date")
{
    CHECK_FALSE(unix_seconds({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, kBcd24}));
    CHECK_FALSE(unix_seconds({0, 0, 0, 0, 0, 0, 0, kBcd24}));
    CHECK_FALSE(unix_seconds({0, 0, 0, 30, 2, 24, 20, kBinary24}));
    CHECK_FALSE(unix_seconds({0, 60, 0, 1, 1, 24, 20, kBinary24}));
    CHECK_FALSE(unix_seconds({0, 0, 24, 1, 1, 24, 20, kBinary24}));
    CHECK_FALSE(unix_seconds({0, 0, 0, 1, 13, 24, 20, kBinary24}));
}

TEST_CASE("rtc: a reading torn by an update is made again")
{
    u8 index        = 0;
    unsigned reads  = 0;
    test::ports.out = [&](u16, u8 value) { index = value; };
    test::ports.in  = [&](u16) -> u8 {
        ++reads;
        switch (index) {
        case 0x0a: return reads < 20 ? 0x80 : 0; // updating at first
        case 0x0b: return kBinary24;
        case 0x00: return reads < 60 ? static_cast<u8>(reads % 60) : 30;
        case 0x02: return 15;
        case 0x04: return 10;
        case 0x07: return 1;
        case 0x08: return 1;
        case 0x09: return 70;
        case 0x32: return 19;
        default: return 0;
        }
    };
    CHECK(read_rtc(0x32) == 10u * 3600 + 15 * 60 + 30);
}

TEST_CASE("rtc: a clock that is always updating is given up")
{
    test::ports.out = [](u16, u8) {};
    test::ports.in  = [](u16) { return u8{0xff}; };
    CHECK_FALSE(read_rtc(0));
}
