// SPDX-License-Identifier: Apache-2.0
#include "dom0/kernel_file.hpp"

#include <catch2/catch.hpp>

#include <cstring>
#include <vector>

using namespace vmm;

namespace
{

std::vector<u8> bzimage(u32 offset, u32 length, u16 version = 0x020f)
{
    std::vector<u8> file(8192, 0xee);
    const auto put = [&](std::size_t at, auto value) { std::memcpy(&file[at], &value, sizeof value); };
    file[0x1f1]    = 3;
    put(0x1fe, u16{0xaa55});
    put(0x202, u32{0x53726448});
    put(0x206, version);
    put(0x248, offset);
    put(0x24c, length);
    return file;
}

} // namespace

TEST_CASE("the payload of a bzImage is where the setup header says")
{
    const auto file   = bzimage(100, 1000);
    const auto kernel = open_kernel(file);
    REQUIRE(kernel);
    CHECK(kernel->packed);
    CHECK(kernel->image.data() == file.data() + 4 * 512 + 100);
    CHECK(kernel->image.size() == 1000);
}

TEST_CASE("a payload outside the file is refused")
{
    CHECK(open_kernel(bzimage(100, 8192 - 4 * 512 - 100)));
    CHECK(open_kernel(bzimage(100, 8192 - 4 * 512 - 99)).error() == Errc::einval);
    CHECK(open_kernel(bzimage(~0u, 1)).error() == Errc::einval);
    CHECK(open_kernel(bzimage(1, ~0u)).error() == Errc::einval);
    CHECK(open_kernel(bzimage(0, 0)).error() == Errc::einval);
}

TEST_CASE("what is no kernel is told from an old one")
{
    CHECK(open_kernel(bzimage(100, 1000, 0x0207)).error() == Errc::eopnotsupp);
    auto file   = bzimage(100, 1000);
    file[0x202] = 'h';
    CHECK(open_kernel(file).error() == Errc::enoexec);
    CHECK(open_kernel({}).error() == Errc::enoexec);
    CHECK(open_kernel(std::span<const u8>(bzimage(0, 1)).first(0x200)).error() == Errc::enoexec);
}

TEST_CASE("an ELF image is taken as it is")
{
    const std::vector<u8> file{0x7f, 'E', 'L', 'F', 2};
    const auto kernel = open_kernel(file);
    REQUIRE(kernel);
    CHECK_FALSE(kernel->packed);
    CHECK(kernel->image.size() == 5);
}
