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
