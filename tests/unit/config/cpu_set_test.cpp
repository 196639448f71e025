// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/cpu_set.hpp"

#include <catch2/catch.hpp>

using vmm::config::Cpu_set;

TEST_CASE("CPU lists read as users write them")
{
    const auto [text, normal] = GENERATE(table<const char*, const char*>({
        {"all", "all"},
        {" all ", "all"},
        {"0", "0"},
        {"4095", "4095"},
        {"0-3", "0-3"},
        {"3,1,2", "1-3"},
        {"0-3,^1", "0,2-3"},
        {"0-3 , ^ 1-2", "0,3"},
        {"^1,1", "1"},
        {"0-4095", "all"},
        {"all,^0", "1-4095"},
        {"7,7,7", "7"},
    }));
    INFO(text);
    const auto cpus = Cpu_set::parse(text);
    REQUIRE(cpus);
    CHECK(cpus->to_string() == normal);
    CHECK(Cpu_set::parse(cpus->to_string()) == cpus);
}

TEST_CASE("CPU lists that are none say why")
{
    const auto [text, message] = GENERATE(table<const char*, const char*>({
        {"", "\"\" is not a CPU number: write \"all\", or numbers and ranges like \"0-3,^1\""},
        {"1,,2", "\"\" is not a CPU number: write \"all\", or numbers and ranges like \"0-3,^1\""},
        {"1,", "\"\" is not a CPU number: write \"all\", or numbers and ranges like \"0-3,^1\""},
        {"x", "\"x\" is not a CPU number: write \"all\", or numbers and ranges like \"0-3,^1\""},
        {"-1", "\"\" is not a CPU number: write \"all\", or numbers and ranges like \"0-3,^1\""},
        {"4096", "CPU 4096 is out of range, give 0 to 4095"},
        {"99999999999999999999", "CPU 99999999999999999999 is out of range, give 0 to 4095"},
        {"3-1", "range \"3-1\" runs backwards"},
        {"^1", "\"^1\" leaves no CPU to run on"},
        {"0-3,^0-3", "\"0-3,^0-3\" leaves no CPU to run on"},
        {"all,^all", "\"all,^all\" leaves no CPU to run on"},
    }));
    INFO(text);
    const auto cpus = Cpu_set::parse(text);
    REQUIRE_FALSE(cpus);
    CHECK(cpus.error() == message);
}

TEST_CASE("A CPU set knows its members")
{
    const auto cpus = Cpu_set::parse("0-3,^1");
    REQUIRE(cpus);
    CHECK(cpus->contains(0));
    CHECK_FALSE(cpus->contains(1));
    CHECK_FALSE(cpus->contains(4));
    CHECK(Cpu_set{}.contains(4));
    CHECK(Cpu_set{}.is_all());
    CHECK(Cpu_set::of({5, 6}).to_string() == "5-6");
}
