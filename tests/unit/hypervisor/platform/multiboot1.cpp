// SPDX-License-Identifier: Apache-2.0
#include "bytes.hpp"
#include "platform/boot_info.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using vmm::test::Bytes;
using vmm::test::Memory;

namespace
{

constexpr u64 kInfo = 0x9000, kMap = 0xa000, kMods = 0xb000, kText = 0xc000, kModText = 0xd000,
              kLoader = 0xe000;

struct Machine {
    Memory memory;
    Bytes mbi = Bytes().zeros(120);
    Boot_info info;

    Machine()
    {
        mbi.put(0, u32{1u << 2 | 1u << 3 | 1u << 6 | 1u << 9});
        mbi.put(16, u32(kText)).put(20, u32{1}).put(24, u32(kMods)).put(44, u32{48}).put(48, u32(kMap));
        mbi.put(64, u32(kLoader));
        memory.put(kMap, Bytes()
                             .add(u32{20})
                             .add(u64{0})
                             .add(u64{0x9f000})
                             .add(u32{1})
                             .add(u32{20})
                             .add(u64{0x100000})
                             .add(u64{0x1000000})
                             .add(u32{1}));
        memory.put(kMods, Bytes().add(u32{0x400000}).add(u32{0x500000}).add(u32(kModText)).add(u32{0}));
        memory.put(kText, Bytes().text("plinth console=com1").add(u8{0}));
        memory.put(kModText, Bytes().text("vmlinuz  root=/dev/sda quiet").add(u8{0}));
        memory.put(kLoader, Bytes().text("qemu").add(u8{0}));
    }
    bool parse()
    {
        memory.put(kInfo, mbi);
        return parse_boot_info(kMultiboot1Magic, Hpa(kInfo), memory, info).has_value();
    }
};

} // namespace

TEST_CASE("multiboot1: everything a loader passes")
{
    Machine m;
    REQUIRE(m.parse());
    REQUIRE(m.info.memory.size() == 2);
    CHECK(m.info.memory[1].start == Hpa(0x100000));
    CHECK(m.info.memory[1].size == 0x1000000);
    REQUIRE(m.info.modules.size() == 1);
    CHECK(m.info.modules[0].start == Hpa(0x400000));
    CHECK(m.info.modules[0].size() == 0x100000);
    CHECK(m.info.loader.view() == "qemu");
    CHECK_FALSE(m.info.truncated);
}

TEST_CASE("multiboot1: the file's name goes, except from GRUB 2 that never passed it")
{
    Machine m;
    REQUIRE(m.parse());
    CHECK(m.info.command_line.view() == "console=com1");
    CHECK(m.info.modules[0].command_line.view() == "root=/dev/sda quiet");

    Machine grub;
    grub.memory.put(kLoader, Bytes().text("GRUB 2.06").add(u8{0}));
    REQUIRE(grub.parse());
    CHECK(grub.info.command_line.view() == "plinth console=com1");
}

TEST_CASE("multiboot1: without a map the two sizes have to do")
{
    Machine m;
    m.mbi.put(0, u32{1}).put(4, u32{639}).put(8, u32{64512});
    REQUIRE(m.parse());
    REQUIRE(m.info.memory.size() == 2);
    CHECK(m.info.memory[0].size == 639 * 1024);
    CHECK(m.info.memory[1].start == Hpa(0x100000));
}

TEST_CASE("multiboot1: corrupt pointers and sizes are refused")
{
    SECTION("information unreadable")
    {
        Machine m;
        CHECK_FALSE(parse_boot_info(kMultiboot1Magic, Hpa(0x12345000), m.memory, m.info));
    }
    SECTION("map entry that claims to be nothing")
    {
        Machine m;
        m.memory.put(kMap, Bytes().add(u32{0}).zeros(44));
        CHECK_FALSE(m.parse());
    }
    SECTION("map entry that claims to be huge")
    {
        Machine m;
        m.memory.put(kMap, Bytes().add(u32{0xfffffff0}).zeros(44));
        CHECK_FALSE(m.parse());
    }
    SECTION("map longer than memory")
    {
        Machine m;
        m.mbi.put(44, u32{0x10000});
        CHECK_FALSE(m.parse());
    }
    SECTION("module that ends before it starts")
    {
        Machine m;
        m.memory.put(kMods, Bytes().add(u32{0x500000}).add(u32{0x400000}).add(u32{0}).add(u32{0}));
        CHECK_FALSE(m.parse());
    }
    SECTION("string without an end")
    {
        Machine m;
        m.memory.put(kText, Bytes().text("endless"));
        CHECK_FALSE(m.parse());
    }
}

TEST_CASE("multiboot1: what does not fit is cut and said to be")
{
    Machine m;
    m.memory.put(kText, Bytes().text(std::string(5000, 'x')).add(u8{0}));
    REQUIRE(m.parse());
    CHECK(m.info.truncated);

    Machine many;
    Bytes mods;
    for (u32 i = 0; i < 20; ++i)
        mods.add(u32{0x400000}).add(u32{0x400001}).add(u32{0}).add(u32{0});
    many.memory.put(kMods, mods);
    many.mbi.put(20, u32{20});
    REQUIRE(many.parse());
    CHECK(many.info.modules.size() == kMaxBootModules);
    CHECK(many.info.truncated);
}

TEST_CASE("an unknown loader is told apart from a corrupt one")
{
    Machine m;
    const auto result = parse_boot_info(0x12345678, Hpa(kInfo), m.memory, m.info);
    REQUIRE_FALSE(result);
    CHECK(result.error() == Errc::enoexec);
}
