// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/bzimage.hpp"

#include "made_up_images.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace vmm;
using namespace vmm::test;

namespace
{

constexpr Compression kAll[] = {Compression::gzip, Compression::xz, Compression::zstd,
                                Compression::lz4_legacy};

bool equal(const Image_bytes& image, const Bytes& expected)
{
    return std::equal(image.bytes().begin(), image.bytes().end(), expected.begin(), expected.end());
}

} // namespace

TEST_CASE("a payload in each compression unpacks to what was packed")
{
    for (const Compression compression : kAll) {
        for (const std::size_t size : {std::size_t{1}, std::size_t{4096}, std::size_t{300'001}}) {
            const Bytes plain   = pattern(size);
            const auto unpacked = unpack_bzimage(make_bzimage(compression, plain));
            INFO(name_of(compression) << " " << size << (unpacked ? "" : " " + unpacked.error().message));
            REQUIRE(unpacked);
            REQUIRE(equal(*unpacked, plain));
        }
    }
}

TEST_CASE("LZ4 goes on from one 8 MiB block to the next")
{
    for (const std::size_t size :
         {std::size_t{8} << 20, (std::size_t{8} << 20) + 1, (std::size_t{17} << 20) + 5}) {
        const Bytes plain   = pattern(size);
        const auto unpacked = unpack_bzimage(make_bzimage(Compression::lz4_legacy, plain));
        REQUIRE(unpacked);
        REQUIRE(equal(*unpacked, plain));
    }
}

TEST_CASE("formats that are known but not supported are named")
{
    const Bytes bzip2_payload = {std::byte{'B'}, std::byte{'Z'}, std::byte{'h'}, std::byte{'9'}};
    const auto unpacked       = unpack_bzimage(make_bzimage(Compression::none, bzip2_payload));
    REQUIRE_FALSE(unpacked);
    CHECK(unpacked.error().message.find("bzip2") != std::string::npos);
    const auto unknown = unpack_bzimage(make_bzimage(Compression::none, pattern(64)));
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().message.find("no known compression") != std::string::npos);
}

TEST_CASE("a promise of another size than what comes out is an error")
{
    for (const Compression compression : kAll) {
        const Bytes plain = pattern(50'000);
        for (const int off : {-1, 1, -40'000, 1'000'000}) {
            Bytes image = make_bzimage(compression, plain);
            put_at(image, image.size() - 4, static_cast<std::uint32_t>(50'000 + off));
            INFO(name_of(compression) << " " << off);
            CHECK_FALSE(unpack_bzimage(image));
        }
    }
}

TEST_CASE("a hostile promise does not take memory")
{
    for (const std::uint32_t size : {0U, 0xffffffffU, static_cast<std::uint32_t>(kMaxKernelBytes) + 1}) {
        Bytes image = make_bzimage(Compression::xz, pattern(100));
        put_at(image, image.size() - 4, size);
        const auto unpacked = unpack_bzimage(image);
        REQUIRE_FALSE(unpacked);
        CHECK(unpacked.error().code == Errc::too_big);
    }
}

TEST_CASE("an image cut anywhere is an error, never a crash")
{
    for (const Compression compression : kAll) {
        const Bytes image = make_bzimage(compression, pattern(3'000));
        for (std::size_t length = 0; length < image.size(); length += 1 + length / 64) {
            const Bytes cut(image.begin(), image.begin() + static_cast<std::ptrdiff_t>(length));
            INFO(name_of(compression) << " cut at " << length);
            CHECK_FALSE((is_bzimage(cut) && unpack_bzimage(cut)));
        }
    }
}

TEST_CASE("a damaged payload is an error or unpacks to the promised size")
{
    std::mt19937 random(7);
    for (const Compression compression : kAll) {
        const Bytes image                   = make_bzimage(compression, pattern(20'000));
        constexpr std::size_t kPayloadStart = 4 * 512 + 100;
        for (int round = 0; round < 300; ++round) {
            Bytes damaged          = image;
            const std::size_t span = damaged.size() - 4 - kPayloadStart;
            for (int hit = 0; hit < 1 + round % 4; ++hit) {
                damaged[kPayloadStart + random() % span] ^= static_cast<std::byte>(1 + random() % 255);
            }
            const auto unpacked = unpack_bzimage(damaged);
            if (unpacked) {
                CHECK(unpacked->size() == 20'000);
            }
        }
    }
}

TEST_CASE("header fields that point outside the file are refused")
{
    Bytes image = make_bzimage(Compression::gzip, pattern(100));
    SECTION("offset") { put_at<std::uint32_t>(image, 0x248, 0xffffffff); }
    SECTION("length") { put_at<std::uint32_t>(image, 0x24c, 0xffffffff); }
    SECTION("length too short for a size") { put_at<std::uint32_t>(image, 0x24c, 3); }
    SECTION("setup sectors") { put_at<std::uint8_t>(image, 0x1f1, 255); }
    SECTION("protocol") { put_at<std::uint16_t>(image, 0x206, 0x207); }
    CHECK_FALSE(unpack_bzimage(image));
}
