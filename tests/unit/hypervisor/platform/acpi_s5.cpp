// SPDX-License-Identifier: Apache-2.0
#include "bytes.hpp"
#include "platform/acpi.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace vmm;
using vmm::test::Bytes;

namespace
{

std::optional<Sleep_type> find(const Bytes& b) { return find_s5(b.data()); }

Bytes dsdt(const Bytes& package, bool rooted = false)
{
    Bytes b;
    b.zeros(36).text("_S5_ in a string");
    b.add(u8{0x08});
    if (rooted)
        b.text("\\");
    return b.text("_S5_").append(package).zeros(8);
}

} // namespace

TEST_CASE("S5: the forms compilers write")
{
    const auto bytes = find(dsdt(
        Bytes().add(u8{0x12}).add(u8{8}).add(u8{4}).add(u8{0x0a}).add(u8{5}).add(u8{0x0a}).add(u8{6}).zeros(
            2)));
    REQUIRE(bytes);
    CHECK(bytes->a == 5);
    CHECK(bytes->b == 6);
    const auto constants =
        find(dsdt(Bytes().add(u8{0x12}).add(u8{6}).add(u8{4}).zeros(1).add(u8{1}).zeros(2), true));
    REQUIRE(constants);
    CHECK(constants->a == 0);
    CHECK(constants->b == 1);
    const auto one = find(dsdt(Bytes().add(u8{0x12}).add(u8{4}).add(u8{1}).add(u8{0x0a}).add(u8{7})));
    REQUIRE(one);
    CHECK(one->b == 7);
    const auto long_length = find(
        dsdt(Bytes().add(u8{0x12}).add(u8{0x48}).add(u8{0}).add(u8{2}).add(u8{0x0a}).add(u8{3}).add(u8{1})));
    REQUIRE(long_length);
    CHECK(long_length->a == 3);
}

TEST_CASE("S5: absent or not a constant")
{
    CHECK_FALSE(find(Bytes()));
    CHECK_FALSE(find(Bytes().zeros(100)));
    CHECK_FALSE(find(dsdt(Bytes().add(u8{0x12}).add(u8{4}).add(u8{1}).add(u8{0x70}))));
    CHECK_FALSE(find(dsdt(Bytes().add(u8{0x0a}).add(u8{4}))));
}

TEST_CASE("S5: cut off or random bytes are survived")
{
    const Bytes whole =
        dsdt(Bytes().add(u8{0x12}).add(u8{8}).add(u8{4}).add(u8{0x0a}).add(u8{5}).add(u8{0x0a}));
    for (std::size_t n = 0; n < 60; ++n)
        CHECK_FALSE(find_s5(std::span<const u8>(whole.data()).first(std::min(n, whole.size()))));
    std::mt19937 random(5);
    for (int i = 0; i < 2000; ++i) {
        Bytes b = dsdt(Bytes().zeros(20));
        for (std::size_t k = 57; k < b.size(); ++k)
            b.data()[k] = static_cast<u8>(random());
        if (const auto found = find(b))
            CHECK(found->a <= 7);
    }
}
