// SPDX-License-Identifier: Apache-2.0
//
// Which bits of APIC ids mean what, as CPUs of different makers and times tell it.
#include "arch/x86/decode/topology.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <utility>

using namespace vmm;

namespace
{

using Leaves = std::map<std::pair<u32, u32>, Cpuid>;
Leaves leaves;

Cpuid answer(u32 leaf, u32 subleaf)
{
    const auto found = leaves.find({leaf, subleaf});
    return found == leaves.end() ? Cpuid{} : found->second;
}

Apic_id_layout layout_of(Leaves cpu)
{
    leaves = std::move(cpu);
    return read_apic_id_layout(answer);
}

constexpr u32 kIntel = 0x756e6547, kAmd = 0x68747541;

u32 cache(u32 level, u32 sharing) { return 3 | level << 5 | (sharing - 1) << 14; }

} // namespace

TEST_CASE("Intel: two threads a core, eight cores, one cache")
{
    CHECK(layout_of({{{0, 0}, {0x16, kIntel, 0, 0}},
                     {{4, 0}, {cache(1, 2), 0, 0, 0}},
                     {{4, 1}, {cache(2, 2), 0, 0, 0}},
                     {{4, 2}, {cache(3, 16), 0, 0, 0}},
                     {{0xb, 0}, {1, 2, 0x100, 0}},
                     {{0xb, 1}, {4, 16, 0x201, 0}}}) == Apic_id_layout{1, 4, 4});
}

TEST_CASE("AMD: several last-level caches in one package")
{
    CHECK(layout_of({{{0, 0}, {0xd, kAmd, 0, 0}},
                     {{0xb, 0}, {1, 2, 0x100, 0}},
                     {{0xb, 1}, {6, 48, 0x201, 0}},
                     {{0x80000000, 0}, {0x8000001e, 0, 0, 0}},
                     {{0x80000001, 0}, {0, 0, 1u << 22, 0}},
                     {{0x8000001d, 0}, {cache(1, 2), 0, 0, 0}},
                     {{0x8000001d, 1}, {cache(2, 2), 0, 0, 0}},
                     {{0x8000001d, 2}, {cache(3, 6), 0, 0, 0}}}) == Apic_id_layout{1, 3, 6});
}

TEST_CASE("without the leaf of levels the number of ids in a package is known")
{
    CHECK(layout_of({{{0, 0}, {1, kAmd, 0, 0}}, {{1, 0}, {0, 6u << 16, 0, 1u << 28}}}) ==
          Apic_id_layout{0, 3, 3});
    CHECK(layout_of({{{0, 0}, {1, kAmd, 0, 0}}, {{1, 0}, {0, 6u << 16, 0, 0}}}) == Apic_id_layout{0, 0, 0});
}

TEST_CASE("an emulator's leaf of levels that knows of none is not believed")
{
    CHECK(layout_of({{{0, 0}, {0xd, kIntel, 0, 0}},
                     {{1, 0}, {0, 2u << 16, 0, 1u << 28}},
                     {{0xb, 0}, {0, 0, 0x100, 0}}}) == Apic_id_layout{0, 1, 1});
}

TEST_CASE("nonsense stays in order: a core is in a cache, a cache in a package")
{
    CHECK(layout_of({{{0, 0}, {0x16, kIntel, 0, 0}},
                     {{4, 0}, {cache(1, 1), 0, 0, 0}},
                     {{0xb, 0}, {2, 4, 0x100, 0}},
                     {{0xb, 1}, {1, 2, 0x201, 0}}}) == Apic_id_layout{2, 2, 2});
}
