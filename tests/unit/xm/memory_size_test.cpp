// SPDX-License-Identifier: Apache-2.0
#include "toolstack/xm/memory_size.hpp"

#include <catch2/catch.hpp>

using vmm::xm::parse_memory_kib;

TEST_CASE("Memory sizes with and without units")
{
    CHECK(parse_memory_kib("512") == 512u << 10);
    CHECK(parse_memory_kib("512m") == 512u << 10);
    CHECK(parse_memory_kib("512MiB") == 512u << 10);
    CHECK(parse_memory_kib("512K") == 512u);
    CHECK(parse_memory_kib("1kb") == 1u);
    CHECK(parse_memory_kib("2g") == 2u << 20);
    CHECK(parse_memory_kib("16t") == std::uint64_t{16} << 30);
}

TEST_CASE("What is no memory size")
{
    static constexpr const char* kRule =
        " is no memory size: give a whole number of MiB, or one with k, m, g or t";
    for (const std::string text : {"", "m", "-1", "1.5g", "1x", "1mm", "1 m", "lots"})
        CHECK(parse_memory_kib(text).error() == "\"" + text + "\"" + kRule);
    CHECK(parse_memory_kib("17t").error() == "\"17t\" is more than any domain can have (16t)");
    CHECK(parse_memory_kib("99999999999999999999").error() ==
          "\"99999999999999999999\" is more than any domain can have (16t)");
    CHECK(parse_memory_kib("0").error() == "a domain cannot run without memory: give at least 1k");
}
