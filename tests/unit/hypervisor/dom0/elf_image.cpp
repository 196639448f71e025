// SPDX-License-Identifier: Apache-2.0
//
// Images made here, whole ones and every way of being broken; and random damage, which may be refused or
// not but never leads outside the file (the sanitizers watch).
#include "dom0/elf_image.hpp"

#include <catch2/catch.hpp>

#include <cstring>
#include <random>
#include <vector>

#include <elf.h>

using namespace vmm;

namespace
{

struct File {
    std::vector<u8> bytes = std::vector<u8>(4096);
    Elf64_Ehdr header{};
    std::vector<Elf64_Phdr> programs;

    File()
    {
        std::memcpy(header.e_ident, ELFMAG, SELFMAG);
        header.e_ident[EI_CLASS] = ELFCLASS64;
        header.e_ident[EI_DATA]  = ELFDATA2LSB;
        header.e_type            = ET_EXEC;
        header.e_machine         = EM_X86_64;
        header.e_phoff           = sizeof header;
        header.e_phentsize       = sizeof(Elf64_Phdr);
        programs.push_back({PT_LOAD, PF_R | PF_X, 1024, 0xffffffff81000000, 0x1000000, 512, 8192, 4096});
        programs.push_back({PT_NOTE, PF_R, 2048, 0, 0, 0, 0, 4});
    }

    void note(u32 type, const char* name, std::vector<u8> value)
    {
        auto& segment = programs[1];
        u8* at        = &bytes[segment.p_offset + segment.p_filesz];
        const Elf64_Nhdr n{static_cast<u32>(std::strlen(name) + 1), static_cast<u32>(value.size()), type};
        std::memcpy(at, &n, sizeof n);
        std::memcpy(at + sizeof n, name, n.n_namesz);
        const std::size_t value_at = sizeof n + ((n.n_namesz + 3) & ~3u);
        std::memcpy(at + value_at, value.data(), value.size());
        segment.p_filesz += value_at + ((value.size() + 3) & ~std::size_t{3});
    }

    std::span<const u8> make()
    {
        header.e_phnum = static_cast<u16>(programs.size());
        std::memcpy(&bytes[0], &header, sizeof header);
        std::memcpy(&bytes[header.e_phoff], programs.data(), programs.size() * sizeof programs[0]);
        return bytes;
    }
};

File whole()
{
    File file;
    file.note(1, "GNU", {1, 2, 3});
    file.note(18, "Linux", {9, 9, 9, 9});
    file.note(18, "Xen", {0x50, 0x08, 0x00, 0x01});
    return file;
}

} // namespace

TEST_CASE("segments and the entry point of a whole image")
{
    auto file        = whole();
    const auto image = read_elf(file.make());
    REQUIRE(image);
    CHECK(image->entry == Gpa(0x1000850));
    REQUIRE(image->segments.size() == 1);
    CHECK(image->segments[0].address == Gpa(0x1000000));
    CHECK(image->segments[0].data.size() == 512);
    CHECK(image->segments[0].memory_size == 8192);
    CHECK(image->start() == Gpa(0x1000000));
    CHECK(image->end() == Gpa(0x1002000));
}

TEST_CASE("the entry point may be given in eight bytes, but must be below 4 GiB")
{
    File file;
    file.note(18, "Xen", {0x50, 8, 0, 1, 0, 0, 0, 0});
    CHECK(read_elf(file.make())->entry == Gpa(0x1000850));
    File high;
    high.note(18, "Xen", {0x50, 8, 0, 1, 1, 0, 0, 0});
    CHECK(read_elf(high.make()).error() == Errc::einval);
    File odd;
    odd.note(18, "Xen", {1, 2});
    CHECK(read_elf(odd.make()).error() == Errc::einval);
}

TEST_CASE("what cannot be a PVH kernel says why")
{
    SECTION("no note")
    {
        File file;
        CHECK(read_elf(file.make()).error() == Errc::enodata);
        file.note(1, "Xen", {0, 0, 0, 0});
        CHECK(read_elf(file.make()).error() == Errc::enodata);
    }
    SECTION("another machine")
    {
        auto file             = whole();
        file.header.e_machine = EM_AARCH64;
        CHECK(read_elf(file.make()).error() == Errc::enoexec);
    }
    SECTION("not an executable")
    {
        auto file          = whole();
        file.header.e_type = ET_REL;
        CHECK(read_elf(file.make()).error() == Errc::enoexec);
    }
    SECTION("no ELF at all")
    {
        CHECK(read_elf({}).error() == Errc::enoexec);
        CHECK(read_elf(std::vector<u8>(100, 1)).error() == Errc::enoexec);
    }
}

TEST_CASE("headers that point outside the file are refused")
{
    auto file = whole();
    SECTION("segment starts outside") { file.programs[0].p_offset = 5000; }
    SECTION("segment ends outside") { file.programs[0].p_filesz = 8000; }
    SECTION("segment wraps around") { file.programs[0].p_offset = ~0ull - 10; }
    SECTION("more in the file than in memory") { file.programs[0].p_memsz = 100; }
    SECTION("load address wraps around") { file.programs[0].p_paddr = ~0ull - 100; }
    SECTION("notes end outside") { file.programs[1].p_filesz = 4096; }
    SECTION("odd size of program headers") { file.header.e_phentsize = 8; }
    SECTION("nothing to load") { file.programs[0].p_memsz = file.programs[0].p_filesz = 0; }
    CHECK(read_elf(file.make()).error() == Errc::einval);
}

TEST_CASE("program headers outside the file are refused")
{
    auto file = whole();
    file.make();
    const u64 far = ~0ull - 60;
    std::memcpy(&file.bytes[offsetof(Elf64_Ehdr, e_phoff)], &far, sizeof far);
    CHECK(read_elf(file.bytes).error() == Errc::einval);
}

TEST_CASE("random damage stays inside the file")
{
    std::mt19937 random(2);
    unsigned refused = 0;
    for (int round = 0; round < 20000; ++round) {
        auto file = whole();
        auto data = std::vector<u8>(file.make().begin(), file.make().end());
        for (int i = 0; i < 4; ++i)
            data[random() % (round % 2 ? 240 : 2150)] = static_cast<u8>(random());
        data.resize(random() % 3 ? data.size() : random() % data.size());
        const auto image = read_elf(data);
        if (!image) {
            ++refused;
            continue;
        }
        for (const auto& segment : image->segments) {
            u8 sum = 0;
            for (const u8 byte : segment.data)
                sum = static_cast<u8>(sum + byte);
            CHECK(segment.memory_size >= segment.data.size());
            (void)sum;
        }
    }
    CHECK(refused > 1000);
}
