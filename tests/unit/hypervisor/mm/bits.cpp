// SPDX-License-Identifier: Apache-2.0
#include "base/bits.hpp"

#include <catch2/catch.hpp>

using namespace vmm;

TEST_CASE("an index is itself below the size, and 0 from there on")
{
    for (const u64 size : {u64{1}, u64{2}, u64{64}, u64{1} << 32, ~u64{0}}) {
        CHECK(clip_index(0, size) == 0);
        CHECK(clip_index(size - 1, size) == size - 1);
        CHECK(clip_index(size / 2, size) == (size / 2 < size ? size / 2 : 0));
        CHECK(clip_index(size, size) == 0);
        CHECK(clip_index(~u64{0}, size) == 0);
    }
    CHECK(clip_index(5, 0) == 0);
}

TEST_CASE("the largest aligned piece")
{
    CHECK(piece_order(0, 1, 18) == 0);
    CHECK(piece_order(0, ~0ull, 18) == 18);
    CHECK(piece_order(0, ~0ull, 63) == 63);
    CHECK(piece_order(1, 512, 18) == 0);
    CHECK(piece_order(512, 512, 18) == 9);
    CHECK(piece_order(512, 511, 18) == 8);
    CHECK(piece_order(512, 2048, 18) == 9);
    CHECK(piece_order(4096, 4096, 9) == 9);
    CHECK(piece_order(4096, 4096, 0) == 0);
}
