// SPDX-License-Identifier: Apache-2.0
#include "bytes.hpp"
#include "platform/boot_info.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace vmm;
using vmm::test::Bytes;
using vmm::test::Memory;

namespace
{

constexpr u64 kInfo = 0x10000;

void tag(Bytes& to, u32 type, const Bytes& body)
{
    to.add(type).add(static_cast<u32>(8 + body.size())).append(body).pad_to(8);
}

Bytes full_information()
{
    Bytes b;
    b.zeros(8);
    tag(b, 1, Bytes().text("console=vga noreboot").add(u8{0}));
    tag(b, 2, Bytes().text("GRUB 2.06").add(u8{0}));
    tag(b, 3, Bytes().add(u32{0x1000000}).add(u32{0x1800000}).text("root=/dev/vda").add(u8{0}));
    tag(b, 3, Bytes().add(u32{0x2000000}).add(u32{0x2000000}).add(u8{0}));
    tag(b, 6,
        Bytes()
            .add(u32{24})
            .add(u32{0})
            .add(u64{0})
            .add(u64{0xa0000})
            .add(u32{1})
            .add(u32{0})
            .add(u64{0x100000})
            .add(u64{0x7f00000})
            .add(u32{1})
            .add(u32{0})
            .add(u64{0x8000000})
            .add(u64{0x1000})
            .add(u32{3})
            .add(u32{0}));
    tag(b, 8,
        Bytes()
            .add(u64{0xe0000000})
            .add(u32{4096})
            .add(u32{1024})
            .add(u32{768})
            .add(u8{32})
            .add(u8{1})
            .add(u16{0})
            .add(u8{16})
            .add(u8{8})
            .add(u8{8})
            .add(u8{8})
            .add(u8{0})
            .add(u8{8}));
    tag(b, 12, Bytes().add(u64{0x7eee018}));
    tag(b, 17,
        Bytes()
            .add(u32{48})
            .add(u32{1})
            .add(u64{6})
            .add(u64{0x7e00000})
            .add(u64{0})
            .add(u64{16})
            .add(u64{0x8000000000000008})
            .zeros(8));
    tag(b, 99, Bytes().text("a tag of the future"));
    tag(b, 15, Bytes().text("RSD PTR new").zeros(25));
    tag(b, 14, Bytes().text("RSD PTR old").zeros(9));
    tag(b, 0, Bytes());
    b.put(0, static_cast<u32>(b.size()));
    return b;
}

bool parse(const Bytes& bytes, Boot_info& info)
{
    Memory memory;
    memory.put(kInfo, bytes);
    return parse_boot_info(kMultiboot2Magic, Hpa(kInfo), memory, info).has_value();
}

} // namespace

TEST_CASE("multiboot2: every tag that matters")
{
    Boot_info info;
    REQUIRE(parse(full_information(), info));
    CHECK(info.command_line.view() == "console=vga noreboot");
    CHECK(info.loader.view() == "GRUB 2.06");
    REQUIRE(info.modules.size() == 2);
    CHECK(info.modules[0].end == Hpa(0x1800000));
    CHECK(info.modules[0].command_line.view() == "root=/dev/vda");
    CHECK(info.modules[1].command_line.empty());
    REQUIRE(info.memory.size() == 3);
    CHECK(info.memory[2].type == Memory_type::acpi);
    CHECK(info.framebuffer.kind == Framebuffer::Kind::rgb);
    CHECK(info.framebuffer.pitch == 4096);
    CHECK(info.framebuffer.green_position == 8);
    CHECK(info.efi_system_table == Hpa(0x7eee018));
    REQUIRE(info.efi_memory.size() == 1);
    CHECK(info.efi_memory[0].type == 6);
    CHECK(info.efi_memory[0].end() == Hpa(0x7e10000));
    CHECK(info.efi_memory[0].attributes == (Efi_region::kRuntime | Efi_region::kWriteBack));
    CHECK(info.rsdp_size == 36);
    CHECK(info.rsdp[8] == 'n');
}

TEST_CASE("multiboot2: cut off anywhere, it is refused and nothing outside is read")
{
    const Bytes whole = full_information();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        Bytes cut;
        cut.data().assign(whole.data().begin(), whole.data().begin() + static_cast<std::ptrdiff_t>(size));
        Boot_info info;
        INFO("cut at " << size);
        CHECK_FALSE(parse(cut, info));
        if (size >= 8) {
            cut.put(0, static_cast<u32>(size)); // and the header agrees with it
            Boot_info again;
            CHECK_FALSE(parse(cut, again));
        }
    }
}

TEST_CASE("multiboot2: hostile sizes")
{
    SECTION("a tag larger than the whole")
    {
        Bytes b = full_information();
        b.put(12, u32{0xfffffff8});
        Boot_info info;
        CHECK_FALSE(parse(b, info));
    }
    SECTION("a tag smaller than its header would never end")
    {
        Bytes b = full_information();
        b.put(12, u32{0});
        Boot_info info;
        CHECK_FALSE(parse(b, info));
    }
    SECTION("memory map with entries of size 0")
    {
        Bytes b;
        b.zeros(8);
        tag(b, 6, Bytes().add(u32{0}).add(u32{0}).zeros(48));
        tag(b, 0, Bytes());
        b.put(0, static_cast<u32>(b.size()));
        Boot_info info;
        CHECK_FALSE(parse(b, info));
    }
    SECTION("a framebuffer tag too short for its colours")
    {
        Bytes b;
        b.zeros(8);
        tag(b, 8, Bytes().add(u64{0}).add(u32{0}).add(u32{0}).add(u32{0}).add(u8{32}).add(u8{1}).add(u16{0}));
        tag(b, 0, Bytes());
        b.put(0, static_cast<u32>(b.size()));
        Boot_info info;
        CHECK_FALSE(parse(b, info));
    }
}

TEST_CASE("multiboot2: random damage never reads outside or hangs")
{
    std::mt19937 random(1);
    const Bytes whole = full_information();
    unsigned accepted = 0, refused = 0;
    for (int i = 0; i < 20000; ++i) {
        Bytes b = whole;
        for (unsigned k = random() % 4 + 1; k > 0; --k)
            b.data()[random() % b.size()] = static_cast<u8>(random());
        Boot_info info;
        ++(parse(b, info) ? accepted : refused);
        CHECK(info.modules.size() <= kMaxBootModules);
    }
    CHECK(accepted > 0);
    CHECK(refused > 0);
}
