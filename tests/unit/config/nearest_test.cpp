// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/nearest.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <string>

using vmm::config::edit_distance;
using vmm::config::nearest;

TEST_CASE("Edit distance counts insertions, deletions, replacements and swaps once each")
{
    CHECK(edit_distance("", "") == 0);
    CHECK(edit_distance("", "abc") == 3);
    CHECK(edit_distance("abc", "") == 3);
    CHECK(edit_distance("memory", "memory") == 0);
    CHECK(edit_distance("memry", "memory") == 1);
    CHECK(edit_distance("mmeory", "memory") == 1);
    CHECK(edit_distance("kitten", "sitting") == 3);
}

TEST_CASE("A misspelt word finds the one that was meant, a strange one finds none")
{
    static constexpr std::array<std::string_view, 4> kWords{"memory", "maxmem", "vcpus", "on_crash"};
    CHECK(nearest("memroy", kWords) == "memory");
    CHECK(nearest("vcpu", kWords) == "vcpus");
    CHECK(nearest("oncrash", kWords) == "on_crash");
    CHECK_FALSE(nearest("banana", kWords));
    CHECK_FALSE(nearest("x", kWords));
    CHECK_FALSE(nearest(std::string(1000, 'm'), kWords));
}
