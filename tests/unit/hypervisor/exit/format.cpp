// SPDX-License-Identifier: Apache-2.0
#include "base/format.hpp"

#include "domain/time.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace vmm;

namespace
{

template <class... Args>
std::string formatted(std::string_view format, const Args&... args)
{
    char buffer[64];
    return std::string(format_to(buffer, format, args...));
}

} // namespace

TEST_CASE("formatting")
{
    CHECK(formatted("plain") == "plain");
    CHECK(formatted("{} and {x}", 42u, 0xbeefu) == "42 and 0xbeef");
    CHECK(formatted("{}", -7) == "-7");
    CHECK(formatted("{}", s64{INT64_MIN}) == "-9223372036854775808");
    CHECK(formatted("{}{}", "a", std::string_view("b")) == "ab");
    CHECK(formatted("d{}: gfn {x}", Domid(3), Gfn(0x1000)) == "d3: gfn 0x1000");
    CHECK(formatted("{} {}", 1) == "1 {}"); // a place without an argument stays visible
    CHECK(formatted("{}", static_cast<const char*>(nullptr)) == "(null)");
}

TEST_CASE("output that does not fit is cut")
{
    char small[4];
    CHECK(format_to(small, "{}", 123456u) == "1234");
    CHECK(format_to(std::span<char>(), "{}", 1u).empty());
}

TEST_CASE("rates convert both ways without drifting")
{
    for (const u64 hz :
         {24'000'000ull, 999'999'999ull, 1'000'000'000ull, 2'199'998'765ull, 5'000'000'000ull}) {
        const auto to_ns   = Rate_scale::between(hz, kSecond);
        const auto to_tick = Rate_scale::between(kSecond, hz);
        const u64 day      = 86'400 * hz;
        CHECK(static_cast<double>(to_ns.apply(day)) == Approx(86'400e9).epsilon(1e-8));
        CHECK(static_cast<double>(to_tick.apply(to_ns.apply(day))) ==
              Approx(static_cast<double>(day)).epsilon(2e-8));
        CHECK(to_ns.mul >= 1u << 31);
    }
}
