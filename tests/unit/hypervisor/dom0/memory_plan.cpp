// SPDX-License-Identifier: Apache-2.0
#include "dom0/memory_plan.hpp"

#include <catch2/catch.hpp>

using namespace vmm;

namespace
{

// A PC with `high` bytes above 4 GiB.
Memory_map machine(u64 high = 2 * kGiB)
{
    Memory_map map;
    map.push({Hpa(0), 0x9f000, Memory_type::ram});
    map.push({Hpa(0xf0000), 0x10000, Memory_type::reserved});
    map.push({Hpa(kMiB), 2047 * kMiB - 0x20000, Memory_type::ram});
    map.push({Hpa(2048 * kMiB - 0x20000), 0x10000, Memory_type::acpi});
    map.push({Hpa(2048 * kMiB - 0x10000), 0x10000, Memory_type::nvs});
    if (high != 0)
        map.push({Hpa(4 * kGiB), high, Memory_type::ram});
    return map;
}

const Memory_range kImage{Hpa(2 * kMiB), Hpa(5 * kMiB)};
const Memory_range kFirst{Hpa(0), Hpa(kMiB)};
const Memory_range kModule{Hpa(64 * kMiB), Hpa(72 * kMiB + 123)};
const Memory_range kModulePages{Hpa(64 * kMiB), Hpa(72 * kMiB + 4096)};

Memory_plan plan_of(u64 wanted, const Memory_map& map = machine())
{
    const Memory_range used[]     = {kFirst, kImage, kModulePages};
    const Memory_range lendable[] = {kFirst, kModule};
    Memory_plan plan;
    REQUIRE(plan_memory(map, used, lendable, wanted, plan));
    return plan;
}

u64 size_of(const Dom0_map& map, Memory_type type)
{
    u64 total = 0;
    for (const auto& region : map)
        total += region.type == type ? region.size : 0;
    return total;
}

} // namespace

TEST_CASE("dom0 gets the lowest RAM, around what is kept, over what is lent")
{
    const auto plan = plan_of(512 * kMiB);
    CHECK(plan.dom0_bytes == 512 * kMiB);
    REQUIRE(plan.dom0.size() == 3);
    CHECK(plan.dom0[0].start == Hpa(0));
    CHECK(plan.dom0[0].end == Hpa(0x9f000));
    CHECK(plan.dom0[1].start == Hpa(kMiB));
    CHECK(plan.dom0[1].end == kImage.start);
    CHECK(plan.dom0[2].start == kImage.end);
    CHECK(plan.contains(Hpa(16 * kMiB), 100 * kMiB));
    CHECK_FALSE(plan.contains(Hpa(kMiB), 2 * kMiB)); // the image is in between
    CHECK_FALSE(plan.contains(Hpa(16 * kMiB), 600 * kMiB));
    CHECK_FALSE(plan.contains(Hpa(16 * kMiB), ~0ull));
}

TEST_CASE("more than there is is refused, and nothing asked for leaves a share")
{
    const Memory_range used[] = {kImage};
    Memory_plan plan;
    CHECK(plan_memory(machine(), used, {}, 5 * kGiB, plan).error() == Errc::enomem);
    CHECK(plan.most_bytes > 3 * kGiB);
    CHECK(plan.most_bytes < 4 * kGiB);
    const auto all = plan_of(0);
    CHECK(all.dom0_bytes == all.most_bytes);
    CHECK(all.dom0[all.dom0.size() - 1].start == Hpa(4 * kGiB));
}

TEST_CASE("dom0's map is the host's with the rest of RAM unusable")
{
    const auto host = machine();
    const auto plan = plan_of(512 * kMiB);
    const Memory_range tables{Hpa(100 * kMiB), Hpa(100 * kMiB + 8192)};
    Dom0_map map;
    REQUIRE(make_dom0_map(host, plan, tables, map));
    CHECK(size_of(map, Memory_type::ram) == 512 * kMiB - 8192);
    CHECK(size_of(map, Memory_type::acpi) == 0x10000 + 8192);
    CHECK(size_of(map, Memory_type::nvs) == 0x10000);
    CHECK(size_of(map, Memory_type::ram) + size_of(map, Memory_type::unusable) + 8192 ==
          memory_bytes(host, Memory_type::ram));
    for (std::size_t i = 1; i < map.size(); ++i)
        CHECK(map[i - 1].end() <= map[i].start);
    bool image_is_unusable = false;
    for (const auto& region : map)
        image_is_unusable |= region.type == Memory_type::unusable && region.start == kImage.start &&
                             region.end() == kImage.end;
    CHECK(image_is_unusable);
}

TEST_CASE("what the builder hands over is in RAM, apart, clear of the kernel, and low where it has to be")
{
    const Memory_range kernel{Hpa(16 * kMiB), Hpa(80 * kMiB)};
    for (const u64 bytes : {256 * kMiB, 1024 * kMiB, 3 * kGiB}) {
        const auto plan   = plan_of(bytes);
        const u64 initrd  = 30 * kMiB + 5;
        const auto layout = place_dom0(plan, kernel, 700, 3 * kPageSize, initrd);
        REQUIRE(layout);
        const Memory_range all[] = {kernel, layout->start, layout->tables, layout->initrd};
        for (const auto& a : all) {
            CHECK(plan.contains(a.start, a.end - a.start));
            CHECK(a.start.value() % kPageSize == 0);
            for (const auto& b : all)
                CHECK((&a == &b || a.end <= b.start || b.end <= a.start));
        }
        CHECK(layout->start.end <= Hpa(kGiB));
        CHECK(layout->tables.end <= Hpa(4 * kGiB));
        CHECK(layout->initrd.end <= Hpa(4 * kGiB));
        CHECK(layout->initrd.end - layout->initrd.start == initrd);
    }
}

TEST_CASE("an initrd that does not fit is refused")
{
    const Memory_range kernel{Hpa(16 * kMiB), Hpa(80 * kMiB)};
    CHECK(place_dom0(plan_of(128 * kMiB), kernel, 700, 12288, 100 * kMiB).error() == Errc::enomem);
    CHECK(place_dom0(plan_of(128 * kMiB), kernel, 700, 12288, 0));
}
