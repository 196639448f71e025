// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/layout.hpp"

#include "toolstack/build/start_info.hpp"

#include <catch2/catch.hpp>

#include <cstring>

using namespace vmm;

namespace
{

constexpr std::uint64_t kMiB = 1U << 20;
constexpr std::uint64_t kGiB = 1U << 30;

Layout_request ordinary(std::uint64_t memory)
{
    return {memory, 16 * kMiB, 60 * kMiB + 123, 20 * kMiB + 1, 300, 500};
}

} // namespace

TEST_CASE("everything lies behind the kernel, on pages of its own, inside low RAM")
{
    const auto layout = make_layout(ordinary(256 * kMiB));
    REQUIRE(layout);
    CHECK(layout->low_ram == 256 * kMiB);
    CHECK(layout->high_ram == 0);
    CHECK(layout->initrd == 60 * kMiB + kPageSize);
    CHECK(layout->start_info == layout->initrd + 20 * kMiB + kPageSize);
    CHECK(layout->acpi_size == kPageSize);
    CHECK(layout->pages() == 256 * 256 + 2 + 1);
}

TEST_CASE("RAM steps over the hole under 4 GiB and the map says so")
{
    const auto layout = make_layout(ordinary(5 * kGiB));
    REQUIRE(layout);
    CHECK(layout->low_ram == kLowRamEnd);
    CHECK(layout->high_ram == 5 * kGiB - kLowRamEnd);
    const auto map = layout->memory_map();
    REQUIRE(map.size() == 4);
    CHECK(map.size() <= kMemoryMapEntries);
    std::uint64_t ram = 0;
    for (const auto& entry : map) {
        if (entry.type == XEN_HVM_MEMMAP_TYPE_RAM) {
            ram += entry.size;
        }
        CHECK(entry.addr % kPageSize == 0);
        for (const auto& other : map) {
            CHECK((&entry == &other || entry.addr + entry.size <= other.addr ||
                   other.addr + other.size <= entry.addr));
        }
    }
    CHECK(ram == 5 * kGiB);
    // The ring pages are inside what is reserved.
    CHECK(raw(kStorePage) * kPageSize >= map[2].addr);
    CHECK(raw(kConsolePage) * kPageSize + kPageSize <= map[2].addr + map[2].size);
}

TEST_CASE("what does not fit is refused with the memory it would take")
{
    const auto tight = make_layout(ordinary(64 * kMiB));
    REQUIRE_FALSE(tight);
    CHECK(tight.error().code == Errc::out_of_memory);
    CHECK(tight.error().message.find("64 MiB of memory") != std::string::npos);
    CHECK(tight.error().message.find("at least 81 MiB") != std::string::npos);
    CHECK(make_layout(ordinary(81 * kMiB)));
    Layout_request huge = ordinary(16 * kGiB);
    huge.initrd_size    = kLowRamEnd;
    const auto too_much = make_layout(huge);
    REQUIRE_FALSE(too_much);
    CHECK(too_much.error().message.find("must lie below 3840 MiB") != std::string::npos);
    Layout_request small{16 * kMiB, kMiB, 2 * kMiB, 0, 300, 500};
    CHECK(make_layout(small));
}

TEST_CASE("the start info points to what is in its block")
{
    const auto layout = make_layout(ordinary(256 * kMiB));
    REQUIRE(layout);
    const auto map              = layout->memory_map();
    const std::uint64_t address = 0x5000000;
    const auto block = make_start_info({address, kAcpiAddress, 0x4000000, 1234, "console=hvc0 quiet", map});
    REQUIRE(block.size() == start_info_size(18, map.size()));
    const auto at = [&](std::uint64_t guest) { return block.data() + (guest - address); };
    hvm_start_info info;
    std::memcpy(&info, block.data(), sizeof info);
    CHECK(info.magic == XEN_HVM_START_MAGIC_VALUE);
    CHECK(info.version == 1);
    CHECK(info.flags == 0);
    CHECK(info.rsdp_paddr == kAcpiAddress);
    REQUIRE(info.nr_modules == 1);
    hvm_modlist_entry module;
    std::memcpy(&module, at(info.modlist_paddr), sizeof module);
    CHECK(module.paddr == 0x4000000);
    CHECK(module.size == 1234);
    CHECK(std::strcmp(reinterpret_cast<const char*>(at(info.cmdline_paddr)), "console=hvc0 quiet") == 0);
    REQUIRE(info.memmap_entries == map.size());
    CHECK(std::memcmp(at(info.memmap_paddr), map.data(), map.size() * sizeof map[0]) == 0);
}

TEST_CASE("without an initrd there is no module list")
{
    const auto block = make_start_info({0x1000, 0, 0, 0, "", {}});
    hvm_start_info info;
    std::memcpy(&info, block.data(), sizeof info);
    CHECK(info.nr_modules == 0);
    CHECK(info.modlist_paddr == 0);
    CHECK(info.cmdline_paddr == 0x1000 + block.size() - 1);
}
