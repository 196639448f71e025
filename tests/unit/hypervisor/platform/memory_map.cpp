// SPDX-License-Identifier: Apache-2.0
#include "platform/memory_map.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <vector>

using namespace vmm;

namespace
{

using Regions = std::vector<Memory_region>;

Memory_map make(const Regions& regions)
{
    Memory_map map;
    REQUIRE(make_memory_map(regions, map));
    return map;
}

bool equal(const Memory_map& map, const Regions& expected)
{
    return std::equal(map.begin(), map.end(), expected.begin(), expected.end(),
                      [](const Memory_region& a, const Memory_region& b) {
                          return a.start == b.start && a.size == b.size && a.type == b.type;
                      });
}

constexpr auto ram      = Memory_type::ram;
constexpr auto reserved = Memory_type::reserved;

} // namespace

TEST_CASE("memory map: sorted, merged, RAM cut to pages")
{
    CHECK(equal(make({{Hpa(0x100000), 0x100000, ram}, {Hpa(0), 0x9fc00, ram}, {Hpa(0x200000), 0x1000, ram}}),
                {{Hpa(0), 0x9f000, ram}, {Hpa(0x100000), 0x101000, ram}}));
    CHECK(equal(make({{Hpa(0x1800), 0x700, ram}}), {}));
}

TEST_CASE("memory map: where regions overlap the cautious kind wins")
{
    CHECK(equal(make({{Hpa(0), 0x10000, ram}, {Hpa(0x4000), 0x2000, reserved}}),
                {{Hpa(0), 0x4000, ram}, {Hpa(0x4000), 0x2000, reserved}, {Hpa(0x6000), 0xa000, ram}}));
    CHECK(equal(make({{Hpa(0), 0x10000, reserved}, {Hpa(0x4000), 0x2000, ram}}),
                {{Hpa(0), 0x10000, reserved}}));
    CHECK(equal(make({{Hpa(0), 0x2000, Memory_type::unusable}, {Hpa(0), 0x2000, reserved}}),
                {{Hpa(0), 0x2000, Memory_type::unusable}}));
}

TEST_CASE("memory map: nonsense from the firmware")
{
    CHECK(equal(make({{Hpa(0x1000), ~0ull, ram}}), {}));
    CHECK(equal(make({{Hpa(0x1000), 0, ram}}), {}));
    CHECK(equal(make({{Hpa(0), 0x1000, Memory_type(77)}}), {{Hpa(0), 0x1000, reserved}}));
}

TEST_CASE("memory map: agrees with a page-by-page model")
{
    std::mt19937 random(7);
    for (int round = 0; round < 200; ++round) {
        Regions regions;
        for (unsigned i = random() % 12; i > 0; --i)
            regions.push_back(
                {Hpa(random() % 64 * kPageSize), random() % 20 * kPageSize, Memory_type(1 + random() % 5)});
        const Memory_map map = make(regions);
        for (u64 page = 0; page < 100; ++page) {
            // Reserved beats NVS beats ACPI beats RAM; unusable beats all.
            constexpr unsigned order[] = {0, 1, 4, 2, 3, 5};
            unsigned best              = 0;
            for (const Memory_region& r : regions) {
                if (Hpa(page * kPageSize) >= r.start && Hpa(page * kPageSize) < r.end() &&
                    order[unsigned(r.type)] > order[best])
                    best = unsigned(r.type);
            }
            unsigned found = 0;
            for (unsigned t = 1; t <= 5; ++t) {
                if (memory_is(map, Memory_type(t), Hpa(page * kPageSize), kPageSize))
                    found = t;
            }
            REQUIRE(found == best);
        }
    }
}

TEST_CASE("memory map: sums and ends by kind")
{
    const Memory_map map =
        make({{Hpa(0), 0x8000, ram}, {Hpa(0x8000), 0x1000, reserved}, {Hpa(0x9000), 0x7000, ram}});
    CHECK(memory_bytes(map, ram) == 0xf000);
    CHECK(memory_end(map, ram) == Hpa(0x10000));
    CHECK(memory_end(map, reserved) == Hpa(0x9000));
    CHECK(memory_end(map, Memory_type::nvs) == Hpa(0));
}

TEST_CASE("free ranges: RAM without what is used, whatever the order it was noted in")
{
    const Memory_map map = make({{Hpa(0), 0x10000, ram}, {Hpa(0x20000), 0x10000, ram}});
    Used_ranges used;
    REQUIRE(used.add(Hpa(0x28000), Hpa(0x40000)));
    REQUIRE(used.add(Hpa(0x3001), Hpa(0x4001))); // whole pages: 3000 to 5000
    REQUIRE(used.add(Hpa(0), Hpa(0x1000)));
    REQUIRE(used.add(Hpa(0x3000), Hpa(0x4000))); // inside another
    std::vector<std::pair<u64, u64>> free;
    for_each_free(map, used, [&](Hpa start, Hpa end) { free.emplace_back(start.value(), end.value()); });
    CHECK(free == std::vector<std::pair<u64, u64>>{{0x1000, 0x3000}, {0x5000, 0x10000}, {0x20000, 0x28000}});
}

TEST_CASE("free ranges: a nested range does not hide the rest of the one around it")
{
    const Memory_map map = make({{Hpa(0), 0x10000, ram}});
    Used_ranges used;
    REQUIRE(used.add(Hpa(0x1000), Hpa(0x8000)));
    REQUIRE(used.add(Hpa(0x2000), Hpa(0x3000)));
    u64 total = 0;
    for_each_free(map, used, [&](Hpa start, Hpa end) { total += end - start; });
    CHECK(total == 0x9000);
}

TEST_CASE("gaps: what is empty or elsewhere takes nothing, and no gap is empty")
{
    const auto gaps = [](u64 start, u64 end, std::vector<Memory_range> taken) {
        std::vector<std::pair<u64, u64>> found;
        for_each_gap({Hpa(start), Hpa(end)}, taken,
                     [&](Hpa from, Hpa to) { found.emplace_back(from.value(), to.value()); });
        return found;
    };
    using Gaps = std::vector<std::pair<u64, u64>>;
    CHECK(gaps(0x1000, 0x9000, {}) == Gaps{{0x1000, 0x9000}});
    CHECK(gaps(0x1000, 0x9000, {{Hpa(0), Hpa(0)}}) == Gaps{{0x1000, 0x9000}});
    CHECK(gaps(0x1000, 0x9000, {{Hpa(0x3000), Hpa(0x4567)}}) == Gaps{{0x1000, 0x3000}, {0x4567, 0x9000}});
    CHECK(gaps(0x1000, 0x9000, {{Hpa(0), Hpa(0x2000)}, {Hpa(0x8000), Hpa(0xa000)}}) ==
          Gaps{{0x2000, 0x8000}});
    CHECK(gaps(0x1000, 0x9000, {{Hpa(0x1000), Hpa(0x9000)}}).empty());
    CHECK(gaps(0x1000, 0x1000, {}).empty()); // all of it is in the first page, which is left out
    CHECK(gaps(0x1000, 0x800, {{Hpa(0x900), Hpa(0xa00)}}).empty());
}

TEST_CASE("find_free: highest fit below the limit, aligned")
{
    const Memory_map map = make({{Hpa(0x1000), 0xf000, ram}, {Hpa(0x100000), 0x100000, ram}});
    Used_ranges used;
    CHECK(find_free(map, used, 0x1000, 0x1000, Hpa(~0ull)).value() == Hpa(0x1ff000));
    CHECK(find_free(map, used, 0x3000, 0x4000, Hpa(~0ull)).value() == Hpa(0x1fc000));
    CHECK(find_free(map, used, 0x1000, 0x1000, Hpa(0x100800)).value() == Hpa(0xf000));
    REQUIRE_FALSE(find_free(map, used, 0x200000, 0x1000, Hpa(~0ull)));
}
