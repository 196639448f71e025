// SPDX-License-Identifier: Apache-2.0
#include "efi/image.hpp"

#include <catch2/catch.hpp>

#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

using namespace vmm;
using namespace vmm::efi;

namespace
{

std::vector<u8> file_of(const char* name)
{
    std::ifstream file(name, std::ios::binary);
    REQUIRE(file);
    return {std::istreambuf_iterator<char>(file), {}};
}

struct Header {
    u32 magic = 0x1badb002, flags = 1 << 16, checksum = 0;
    u32 header = 0x200010, load = 0x200000, load_end = 0x200100, bss_end = 0x300000, entry = 0x200040;
};

// A file with 0x200 bytes of something else, and then the image.
std::vector<u8> file_with(Header header)
{
    header.checksum = 0 - header.magic - header.flags;
    std::vector<u8> file(0x300);
    std::memcpy(file.data() + 0x210, &header, sizeof header);
    return file;
}

} // namespace

TEST_CASE("efi: the hypervisor tells where it belongs")
{
    const auto file  = file_of(PLINTH_IMAGE);
    const auto image = find_image(file);
    REQUIRE(image);
    CHECK(image->start == 0x200000);
    CHECK(image->entry > image->start);
    CHECK(image->entry < image->start + image->loaded.size());
    CHECK(image->end >= image->start + image->loaded.size());
}

TEST_CASE("efi: an image that makes no sense is none")
{
    const auto file  = file_with({});
    const auto image = find_image(file);
    REQUIRE(image);
    CHECK(image->loaded.data() == file.data() + 0x200);
    CHECK(image->loaded.size() == 0x100);
    CHECK(image->entry == 0x200040);
    CHECK(image->end == 0x300000);

    CHECK_FALSE(find_image({}));
    CHECK_FALSE(find_image(file_with({.magic = 0x1badb003})));
    CHECK_FALSE(find_image(file_with({.flags = 0})));
    CHECK_FALSE(find_image(file_with({.load = 0x200020})));     // behind its header
    CHECK_FALSE(find_image(file_with({.load = 0x100000})));     // before the file
    CHECK_FALSE(find_image(file_with({.load_end = 0x200101}))); // behind it
    CHECK_FALSE(find_image(file_with({.load_end = 0x1fffff})));
    CHECK_FALSE(find_image(file_with({.bss_end = 0x2000ff})));
    CHECK_FALSE(find_image(file_with({.entry = 0x200100})));
    CHECK_FALSE(find_image(file_with({.entry = 0x1fffff})));
}
