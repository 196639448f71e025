// SPDX-License-Identifier: Apache-2.0
#include "efi/arguments.hpp"

#include <catch2/catch.hpp>

#include <array>

using namespace vmm::efi;
using namespace std::string_view_literals;

TEST_CASE("efi: what stands behind the application's name")
{
    std::array<char, 64> room{};
    const auto read = [&](std::u16string_view text) { return read_arguments(text, room); };

    CHECK(read(u"").config == "plinth.cfg");
    CHECK(read(u"").section.empty());
    CHECK(read(u"rescue").section == "rescue");
    CHECK(read(u"rescue\0garbage"sv).section == "rescue");
    CHECK(read(u"  -cfg=other.cfg   rescue ").section == "rescue");
    CHECK(read(u"  -cfg=other.cfg   rescue ").config == "other.cfg");
    // A shell puts the name first.
    CHECK(read(u"plinth.efi").section.empty());
    CHECK(read(u"FS0:\\EFI\\PLINTH.EFI debian").section == "debian");
    // Only there is it one.
    CHECK(read(u"debian plinth.efi").section == "plinth.efi");
}

TEST_CASE("efi: what is no text says nothing")
{
    std::array<char, 16> room{};
    CHECK(read_arguments(u"\x0001\x8000section", room).section.empty());
    CHECK(read_arguments(u"r\u00e9scue", room).section.empty());
    CHECK(read_arguments(u"seventeen_letters", room).section.empty());
    CHECK(read_arguments(u"sixteen_letters_", room).section == "sixteen_letters_");
}
