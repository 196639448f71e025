// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/uuid.hpp"

#include <catch2/catch.hpp>

using vmm::config::Uuid;

TEST_CASE("A UUID is read in either case and written in lower case")
{
    const auto uuid = Uuid::parse("01234567-89AB-cdef-0123-456789abcDEF");
    REQUIRE(uuid);
    CHECK(uuid->to_string() == "01234567-89ab-cdef-0123-456789abcdef");
    CHECK(uuid->bytes[0] == 0x01);
    CHECK(uuid->bytes[5] == 0xab);
    CHECK(uuid->bytes[15] == 0xef);
}

TEST_CASE("What is not a UUID is shown with the form it should have")
{
    const std::string text =
        GENERATE("", "1", "01234567-89ab-cdef-0123-456789abcde", "01234567-89ab-cdef-0123-456789abcdef0",
                 "0123456789ab-cdef-0123-456789abcdef--", "g1234567-89ab-cdef-0123-456789abcdef");
    const auto uuid = Uuid::parse(text);
    REQUIRE_FALSE(uuid);
    CHECK(uuid.error() ==
          "\"" + text + "\" is not a UUID: write 32 hex digits as 01234567-89ab-cdef-0123-456789abcdef");
}

TEST_CASE("Random UUIDs are of version 4 and differ")
{
    const auto a = Uuid::random();
    const auto b = Uuid::random();
    CHECK(a != b);
    CHECK((a.bytes[6] >> 4) == 4);
    CHECK((a.bytes[8] >> 6) == 2);
    CHECK(Uuid::parse(a.to_string()) == a);
}
