// SPDX-License-Identifier: Apache-2.0
//
// The byte functions against the host's C library, for every length and alignment that takes another path.
#include "base/string.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cstring>
#include <numeric>

using namespace vmm;

namespace
{

using Buffer = std::array<u8, 200>;

Buffer counting()
{
    Buffer b;
    std::iota(b.begin(), b.end(), u8{1});
    return b;
}

} // namespace

TEST_CASE("copy copies exactly the bytes asked for")
{
    for (std::size_t n = 0; n <= 80; ++n) {
        for (std::size_t offset = 0; offset < 9; ++offset) {
            const Buffer from = counting();
            Buffer to{}, expected{};
            bytes::copy(&to[offset], &from[3], n);
            std::memcpy(&expected[offset], &from[3], n);
            REQUIRE(to == expected);
        }
    }
}

TEST_CASE("fill writes exactly the bytes asked for")
{
    for (std::size_t n = 0; n <= 80; ++n) {
        for (std::size_t offset = 0; offset < 9; ++offset) {
            Buffer to = counting(), expected = counting();
            bytes::fill(&to[offset], 0xc3, n);
            std::memset(&expected[offset], 0xc3, n);
            REQUIRE(to == expected);
        }
    }
}

TEST_CASE("move is right for every overlap")
{
    for (std::size_t n = 0; n <= 60; ++n) {
        for (std::size_t to = 50; to <= 110; ++to) {
            Buffer a = counting(), b = counting();
            bytes::move(&a[to], &a[80], n);
            std::memmove(&b[to], &b[80], n);
            REQUIRE(a == b);
        }
    }
}

TEST_CASE("compare has the sign of the first difference")
{
    for (std::size_t n = 1; n <= 40; ++n) {
        for (std::size_t at = 0; at < n; ++at) {
            const Buffer a = counting();
            Buffer b       = counting();
            REQUIRE(bytes::compare(a.data(), b.data(), n) == 0);
            b[at] = 0xff;
            REQUIRE(bytes::compare(a.data(), b.data(), n) < 0);
            REQUIRE(bytes::compare(b.data(), a.data(), n) > 0);
            REQUIRE(bytes::compare(a.data(), b.data(), at) == 0);
        }
    }
}

TEST_CASE("length stops at the first zero")
{
    CHECK(bytes::length("") == 0);
    CHECK(bytes::length("gfn\0mfn") == 3);
}

TEST_CASE("zero_pages zeroes whole pages and nothing else")
{
    alignas(4096) static std::array<u8, 4 * 4096> pages;
    pages.fill(0xaa);
    bytes::zero_pages(&pages[4096], 2);
    for (std::size_t i = 0; i < pages.size(); ++i)
        REQUIRE(pages[i] == (i >= 4096 && i < 3 * 4096 ? 0 : 0xaa));
}
