// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/elf_image.hpp"

#include "made_up_images.hpp"

#include <elf.h>

#include <catch2/catch.hpp>

#include <random>

using namespace vmm;
using namespace vmm::test;

namespace
{

constexpr std::uint64_t kMiB = 1U << 20;

Made_elf two_segments()
{
    return {{{16 * kMiB, pattern(5000), 0}, {20 * kMiB, pattern(100), 3 * kMiB}}, 16 * kMiB + 0x40};
}

std::string why(const Bytes& file)
{
    const auto parsed = parse_elf(file);
    return parsed ? "" : parsed.error().message;
}

bool mentions(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("segments and entry of 64 and 32-bit kernels")
{
    Made_elf wanted         = two_segments();
    wanted.is_32_bit        = GENERATE(false, true);
    wanted.entry_in_8_bytes = GENERATE(false, true);
    const Bytes file        = make_elf(wanted);
    const auto image        = parse_elf(file);
    REQUIRE(image);
    CHECK(image->entry == 16 * kMiB + 0x40);
    REQUIRE(image->segments.size() == 2);
    CHECK(image->begin() == 16 * kMiB);
    CHECK(image->end() == 23 * kMiB);
    const Elf_segment& first = image->segments[0];
    CHECK(first.file_size == 5000);
    CHECK(first.memory_size == 5000);
    const Bytes expected = pattern(5000);
    CHECK(std::equal(expected.begin(), expected.end(),
                     file.begin() + static_cast<std::ptrdiff_t>(first.file_offset)));
}

TEST_CASE("segments come out by address, whatever their order in the file")
{
    Made_elf wanted = two_segments();
    std::swap(wanted.segments[0], wanted.segments[1]);
    const auto image = parse_elf(make_elf(wanted));
    REQUIRE(image);
    CHECK(image->segments[0].address == 16 * kMiB);
}

TEST_CASE("a kernel that cannot start here is told why")
{
    Made_elf wanted = two_segments();
    SECTION("no PVH note")
    {
        wanted.entry.reset();
        CHECK(mentions(why(make_elf(wanted)), "CONFIG_PVH"));
    }
    SECTION("entry outside")
    {
        wanted.entry = 40 * kMiB;
        CHECK(mentions(why(make_elf(wanted)), "entry point"));
    }
    SECTION("entry above 4 GiB")
    {
        wanted.entry            = (std::uint64_t{1} << 32) + 16 * kMiB;
        wanted.entry_in_8_bytes = true;
        CHECK_FALSE(parse_elf(make_elf(wanted)));
    }
    SECTION("nothing to load")
    {
        wanted.segments.clear();
        CHECK(mentions(why(make_elf(wanted)), "nothing to load"));
    }
    SECTION("overlap")
    {
        wanted.segments[0].memory_size = 5 * kMiB;
        CHECK(mentions(why(make_elf(wanted)), "overlap"));
    }
    SECTION("above 4 GiB")
    {
        wanted.segments[1].address = (std::uint64_t{1} << 32) - kMiB;
        CHECK(mentions(why(make_elf(wanted)), "above 4 GiB"));
    }
    SECTION("memory size that wraps")
    {
        wanted.segments[1].memory_size = UINT64_MAX;
        CHECK_FALSE(parse_elf(make_elf(wanted)));
    }
    SECTION("more in the file than in memory")
    {
        wanted.segments[0].memory_size = 100;
        CHECK_FALSE(parse_elf(make_elf(wanted)));
    }
    SECTION("another machine")
    {
        Bytes file = make_elf(wanted);
        put_at<std::uint16_t>(file, offsetof(Elf64_Ehdr, e_machine), EM_AARCH64);
        CHECK(mentions(why(file), "x86"));
    }
    SECTION("big endian")
    {
        Bytes file    = make_elf(wanted);
        file[EI_DATA] = std::byte{ELFDATA2MSB};
        CHECK(mentions(why(file), "x86"));
    }
    SECTION("not ELF") { CHECK(mentions(why(pattern(100)), "not an ELF")); }
}

TEST_CASE("header fields that point outside are refused")
{
    Bytes file = make_elf(two_segments());
    SECTION("program headers far away")
    {
        put_at<std::uint64_t>(file, offsetof(Elf64_Ehdr, e_phoff), UINT64_MAX - 10);
    }
    SECTION("too many") { put_at<std::uint16_t>(file, offsetof(Elf64_Ehdr, e_phnum), 0xffff); }
    SECTION("of a strange size") { put_at<std::uint16_t>(file, offsetof(Elf64_Ehdr, e_phentsize), 1); }
    SECTION("segment offset that wraps")
    {
        put_at<std::uint64_t>(file, sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_offset), UINT64_MAX - 100);
    }
    CHECK_FALSE(parse_elf(file));
}

TEST_CASE("a file cut anywhere, or with any byte of its headers changed, never reads outside")
{
    const Bytes file = make_elf(two_segments());
    for (std::size_t length = 0; length < file.size(); length += 1 + length / 100) {
        const Bytes cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(length));
        CHECK_FALSE(parse_elf(cut));
    }
    std::mt19937 random(3);
    constexpr std::size_t kHeaders = sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Phdr);
    for (int round = 0; round < 3000; ++round) {
        Bytes damaged                            = file;
        damaged[random() % kHeaders]             = static_cast<std::byte>(random());
        damaged[file.size() - 1 - random() % 40] = static_cast<std::byte>(random());
        const auto image                         = parse_elf(damaged);
        if (image) {
            for (const Elf_segment& segment : image->segments) {
                CHECK(segment.file_offset + segment.file_size <= damaged.size());
                CHECK(segment.address + segment.memory_size <= std::uint64_t{1} << 32);
            }
        }
    }
}
