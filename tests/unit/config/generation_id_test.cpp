// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/generation_id.hpp"

#include <catch2/catch.hpp>

using vmm::config::Generation_id;

TEST_CASE("A generation is 128 random bits")
{
    const auto a = Generation_id::random();
    const auto b = Generation_id::random();
    CHECK(a.low != b.low);
    CHECK(a.high != b.high);
    CHECK(Generation_id::parse(a.to_string()) == a);
}

TEST_CASE("A generation is written as its lower and its upper half")
{
    const Generation_id most{1, 0xffff'ffff'ffff'ffff};
    CHECK(most.to_string() == "1:18446744073709551615");
    CHECK(Generation_id::parse(most.to_string()) == most);
    for (const auto* const wrong : {"", "1", ":", "1:", ":1", "1:2:3", "1:2 ", " 1:2", "-1:2", "a:2", "1:0x2",
                                    "1;2", "18446744073709551616:1", "1:18446744073709551616"}) {
        INFO(wrong);
        CHECK_FALSE(Generation_id::parse(wrong));
    }
}
