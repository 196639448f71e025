// SPDX-License-Identifier: Apache-2.0
#include "efi/information.hpp"

#include "bytes.hpp"
#include "efi/gnu_efi.hpp"
#include "efi/memory_map.hpp"

#include <catch2/catch.hpp>

#include <cstring>

using namespace vmm;
using namespace vmm::efi;

namespace
{

constexpr u64 kAt = 0x10000;

// The hypervisor's own parser.
bool read(std::span<const u8> information, Boot_info& info)
{
    test::Bytes bytes;
    bytes.data().assign(information.begin(), information.end());
    test::Memory memory;
    memory.put(kAt, bytes);
    return parse_boot_info(kMultiboot2Magic, Hpa(kAt), memory, info).has_value();
}

constexpr std::size_t kStride = sizeof(EFI_MEMORY_DESCRIPTOR) + 8; // as firmware of the future may have it

class Descriptors
{
  public:
    Descriptors& add(u32 type, u64 start, u64 pages)
    {
        EFI_MEMORY_DESCRIPTOR d{};
        d.Type          = type;
        d.PhysicalStart = start;
        d.NumberOfPages = pages;
        bytes_.resize(bytes_.size() + kStride);
        std::memcpy(bytes_.data() + bytes_.size() - kStride, &d, sizeof d);
        return *this;
    }
    [[nodiscard]] Memory_map map() const { return {bytes_, kStride}; }

  private:
    std::vector<u8> bytes_;
};

const Descriptors kMap = Descriptors()
                             .add(EfiConventionalMemory, 0, 0xa0)
                             .add(EfiLoaderData, 0x100000, 0x100)
                             .add(EfiBootServicesCode, 0x200000, 0x100)
                             .add(EfiBootServicesData, 0x300000, 0x100)
                             .add(EfiRuntimeServicesData, 0x400000, 0x10)
                             .add(EfiReservedMemoryType, 0x410000, 0x10)
                             .add(EfiACPIReclaimMemory, 0x420000, 1)
                             .add(EfiACPIMemoryNVS, 0x421000, 1)
                             .add(EfiUnusableMemory, 0x422000, 1)
                             .add(EfiConventionalMemory, 0x100000000, 0x100000);

} // namespace

TEST_CASE("efi: the hypervisor reads what is written for it")
{
    std::array<u8, 4096> room{};
    Information to(room);
    to.add_command_line("console=com1");
    to.add_loader_name("plinth.efi");
    to.add_module(0x1000000, 0x123456, "root=/dev/sda1 ro");
    to.add_module(0x2000000, 0, {});
    std::array<u8, 36> rsdp{};
    std::memcpy(rsdp.data(), "RSD PTR new", 11);
    to.add_rsdp(rsdp);
    to.add_framebuffer({Hpa(0x1'8000'0000), 4096, 1024, 768, 32, Framebuffer::Kind::rgb, 16, 8, 8, 8, 0, 8});
    to.add_efi_system_table(0x7eee018);
    kMap.map().describe(to);
    to.finish();
    REQUIRE(to.complete());

    Boot_info info;
    REQUIRE(read(std::span(room).first(to.size()), info));
    CHECK_FALSE(info.truncated);
    CHECK(info.command_line.view() == "console=com1");
    CHECK(info.loader.view() == "plinth.efi");
    REQUIRE(info.modules.size() == 2);
    CHECK(info.modules[0].start == Hpa(0x1000000));
    CHECK(info.modules[0].size() == 0x123456);
    CHECK(info.modules[0].command_line.view() == "root=/dev/sda1 ro");
    CHECK(info.modules[1].size() == 0);
    CHECK(info.rsdp_size == 36);
    CHECK(info.rsdp[8] == 'n');
    CHECK(info.framebuffer.address == Hpa(0x1'8000'0000));
    CHECK(info.framebuffer.pitch == 4096);
    CHECK(info.framebuffer.red_position == 16);
    CHECK(info.framebuffer.blue_size == 8);
    CHECK(info.efi_system_table == Hpa(0x7eee018));
    REQUIRE(info.efi_memory.size() == 10);
    CHECK(info.efi_memory[4].type == EfiRuntimeServicesData);
    CHECK(info.efi_memory[4].end() == Hpa(0x410000));

    // Neighbours of a kind are one, whoever had them.
    struct Expected_region {
        u64 start, size;
        Memory_type type;
    };
    constexpr Expected_region expected[] = {
        {0, 0xa0000, Memory_type::ram},
        {0x100000, 0x300000, Memory_type::ram},
        {0x400000, 0x20000, Memory_type::reserved},
        {0x420000, 0x1000, Memory_type::acpi},
        {0x421000, 0x1000, Memory_type::nvs},
        {0x422000, 0x1000, Memory_type::unusable},
        {0x100000000, 0x100000000, Memory_type::ram},
    };
    REQUIRE(info.memory.size() == std::size(expected));
    for (std::size_t i = 0; i < std::size(expected); ++i) {
        CHECK(info.memory[i].start == Hpa(expected[i].start));
        CHECK(info.memory[i].size == expected[i].size);
        CHECK(info.memory[i].type == expected[i].type);
    }
}

TEST_CASE("efi: information that does not fit is not complete, and nothing outside is written")
{
    for (std::size_t size = 8; size < 200; ++size) {
        const auto room = std::make_unique<u8[]>(size);
        Information to({room.get(), size});
        to.add_command_line("console=com1");
        to.add_module(0x1000000, 0x1000, "ro");
        kMap.map().describe(to);
        to.finish();
        CHECK_FALSE(to.complete());
    }
}

TEST_CASE("efi: what will be RAM")
{
    CHECK(kMap.map().is_ram(0x200000, 0x400000));
    CHECK(kMap.map().is_ram(0x1ff000, 0x201000));
    CHECK_FALSE(kMap.map().is_ram(0x200000, 0x400001));
    CHECK_FALSE(kMap.map().is_ram(0x9f000, 0xa1000)); // a hole behind it
    CHECK_FALSE(kMap.map().is_ram(0x300000, 0x500000));
}
