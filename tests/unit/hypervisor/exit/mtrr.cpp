// SPDX-License-Identifier: Apache-2.0
#include "exit/mtrr.hpp"

#include <catch2/catch.hpp>

using namespace vmm;

TEST_CASE("all memory is write-back to begin with")
{
    const Mtrr mtrr;
    CHECK(*mtrr.read(0x2ff) == 0xc06);
    CHECK(*mtrr.read(0x250) == 0x0606060606060606);
    CHECK(*mtrr.read(0x200) == 0);
    CHECK((*mtrr.read(0xfe) & 0xff) == 8);
}

TEST_CASE("which registers there are")
{
    CHECK(Mtrr::owns(0xfe));
    CHECK(Mtrr::owns(0x200));
    CHECK(Mtrr::owns(0x26f));
    CHECK(Mtrr::owns(0x2ff));
    CHECK(!Mtrr::owns(0x277)); // PAT
    CHECK(!Mtrr::owns(0x1ff));
    CHECK(!Mtrr::owns(0x300));
}

TEST_CASE("what is written is read back, and nonsense is refused")
{
    Mtrr mtrr;
    CHECK(mtrr.write(0x203, 0xf'c000'0800));
    CHECK(*mtrr.read(0x203) == 0xf'c000'0800);
    CHECK(mtrr.write(0x26f, 0x0000000000000005));
    CHECK(*mtrr.read(0x26f) == 5);
    CHECK(!mtrr.write(0x26f, 0x02));   // type 2 is reserved
    CHECK(!mtrr.write(0x2ff, 0x1000)); // a reserved bit
    CHECK(!mtrr.write(0xfe, 0));       // the capabilities cannot be written
    CHECK(!mtrr.write(0x210, 0));      // only eight variable ranges
    CHECK(!mtrr.read(0x251));
}

TEST_CASE("the record of the HVM context carries all of them")
{
    Mtrr from, to;
    REQUIRE(from.write(0x203, 0xf'c000'0800));
    REQUIRE(from.write(0x26f, 5));
    REQUIRE(from.write(0x2ff, 0x806));
    hvm_hw_mtrr record{};
    from.save(record);
    CHECK(record.msr_mtrr_cap == *from.read(0xfe));
    REQUIRE(to.load(record));
    CHECK(*to.read(0x203) == 0xf'c000'0800);
    CHECK(*to.read(0x26f) == 5);
    CHECK(*to.read(0x2ff) == 0x806);
    record.msr_mtrr_fixed[3] = 2;
    CHECK_FALSE(to.load(record));
}
