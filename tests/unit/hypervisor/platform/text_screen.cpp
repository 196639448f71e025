// SPDX-License-Identifier: Apache-2.0
#include "platform/screen.hpp"

#include "platform/font.hpp"
#include "ports.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

using namespace vmm;

namespace
{

// A screen with a margin around it that must stay as it is.
struct Screen {
    static constexpr u8 kMargin = 0x77;

    Framebuffer mode;
    std::vector<u8> memory;
    std::unique_ptr<Text_screen> text = std::make_unique<Text_screen>();
    bool ok;

    Screen(u32 width, u32 height, u8 bits, u32 extra = 0)
    {
        const u32 bytes     = (bits + 7u) / 8;
        mode.kind           = Framebuffer::Kind::rgb;
        mode.pitch          = width * bytes + extra;
        mode.width          = width;
        mode.height         = height;
        mode.bits_per_pixel = bits;
        mode.red_position   = bits == 16 ? 11 : 16;
        mode.red_size       = bits == 16 ? 5 : 8;
        mode.green_position = bits == 16 ? 5 : 8;
        mode.green_size     = bits == 16 ? 6 : 8;
        mode.blue_size      = bits == 16 ? 5 : 8;
        memory.assign(std::size_t{mode.pitch} * height + 64, kMargin);
        ok = text->init(mode, memory.data());
    }
    u32 pixel(unsigned x, unsigned y) const
    {
        const unsigned bytes = (mode.bits_per_pixel + 7u) / 8;
        u32 value            = 0;
        for (unsigned i = 0; i < bytes; ++i)
            value |= u32{memory[std::size_t{y} * mode.pitch + x * bytes + i]} << (8 * i);
        return value;
    }
    // The character whose glyph is in that cell.
    char at(unsigned row, unsigned column) const
    {
        const unsigned scale = std::max(1u, mode.width / 1600);
        for (char c = ' '; c <= '~'; ++c) {
            bool same = true;
            for (unsigned y = 0; y < 8 && same; ++y) {
                for (unsigned x = 0; x < 8 && same; ++x)
                    same = (pixel((column * 8 + x) * scale, (row * 16 + 2 * y) * scale) != 0) ==
                           font_pixel(c, x, y);
            }
            if (same)
                return c;
        }
        return '\0';
    }
    std::string line(unsigned row, unsigned length) const
    {
        std::string s;
        for (unsigned i = 0; i < length; ++i)
            s += at(row, i);
        return s;
    }
};

} // namespace

TEST_CASE("framebuffer: text in every depth, nothing drawn outside")
{
    for (const u8 bits : {16, 24, 32}) {
        Screen s(320, 160, bits, 12);
        REQUIRE(s.ok);
        CHECK(s.text->columns() == 40);
        CHECK(s.text->rows() == 10);
        s.text->write("Hello,\n{World}~");
        CHECK(s.line(0, 6) == "Hello,");
        CHECK(s.line(1, 8) == "{World}~");
        for (std::size_t i = s.memory.size() - 64; i < s.memory.size(); ++i)
            REQUIRE(s.memory[i] == Screen::kMargin);
        CHECK(s.memory[320u * (bits / 8) + 5] == Screen::kMargin); // between two lines
    }
}

TEST_CASE("framebuffer: long lines wrap, a full screen moves up by a quarter")
{
    Screen s(80, 128, 32); // 10 by 8
    REQUIRE(s.ok);
    s.text->write("0123456789ab\r\n");
    CHECK(s.line(0, 10) == "0123456789");
    CHECK(s.line(1, 2) == "ab");
    for (int i = 2; i < 8; ++i)
        s.text->write("row" + std::to_string(i) + "\n");
    CHECK(s.line(0, 4) == "row2");
    CHECK(s.line(5, 4) == "row7");
    CHECK(s.line(6, 4) == "    ");
    s.text->write("next\b\bw");
    CHECK(s.line(6, 4) == "newt");
}

TEST_CASE("framebuffer: wide screens get larger letters")
{
    Screen s(3840, 64, 32);
    REQUIRE(s.ok);
    CHECK(s.text->columns() == 240);
    CHECK(s.text->rows() == 2);
    s.text->write("K");
    CHECK(s.at(0, 0) == 'K');
}

TEST_CASE("framebuffer: modes that make no sense are refused")
{
    Text_screen& text = *Screen(80, 16, 32).text.release();
    const std::unique_ptr<Text_screen> owner(&text);
    std::vector<u8> memory(80 * 16 * 4);
    const auto refused = [&](auto change) {
        Framebuffer mode = Screen(80, 16, 32).mode;
        change(mode);
        return !text.init(mode, memory.data());
    };
    CHECK_FALSE(refused([](Framebuffer&) {}));
    CHECK(refused([](Framebuffer& m) { m.kind = Framebuffer::Kind::text; }));
    CHECK(refused([](Framebuffer& m) { m.bits_per_pixel = 8; }));
    CHECK(refused([](Framebuffer& m) { m.bits_per_pixel = 64; }));
    CHECK(refused([](Framebuffer& m) { m.pitch = 100; }));
    CHECK(refused([](Framebuffer& m) { m.width = 0; }));
    CHECK(refused([](Framebuffer& m) { m.height = 3; }));
    CHECK(refused([](Framebuffer& m) { m.width = 0x80000000; }));
    CHECK(refused([](Framebuffer& m) { m.red_size = 0; }));
    CHECK(refused([](Framebuffer& m) { m.blue_position = 30; }));
}

TEST_CASE("text mode: lines wrap and scroll one by one, the cursor follows")
{
    std::vector<u16> cells(80 * 25 + 1, 0x4141);
    unsigned cursor = 0;
    u8 index        = 0;
    test::ports.out = [&](u16 port, u8 value) {
        if (port == 0x3d4)
            index = value;
        else if (index == 0x0e)
            cursor = (cursor & 0xff) | unsigned{value} << 8;
        else if (index == 0x0f)
            cursor = (cursor & 0xff00) | value;
    };
    const auto line = [&](unsigned row, unsigned length) {
        std::string s;
        for (unsigned i = 0; i < length; ++i)
            s += static_cast<char>(cells[row * 80 + i]);
        return s;
    };
    const auto text = std::make_unique<Text_screen>();
    text->init(cells.data());
    CHECK(cells[0] == 0x0720);
    CHECK(cursor == 0);
    text->write("Hi\x7f!\n" + std::string(80, 'w') + "x\b\by\r\n");
    CHECK(line(0, 4) == "Hi! ");
    CHECK(line(1, 80) == std::string(80, 'w'));
    CHECK(line(2, 2) == "y ");
    CHECK(cursor == 3 * 80);
    for (int i = 3; i < 26; ++i)
        text->write("row" + std::to_string(i) + "\n");
    CHECK(line(0, 2) == "y ");
    CHECK(line(23, 6) == "row25 ");
    CHECK(line(24, 6) == "      ");
    CHECK(cursor == 24 * 80);
    CHECK(cells.back() == 0x4141); // nothing outside
}

TEST_CASE("font: every printable character looks different")
{
    for (char a = ' '; a <= '~'; ++a) {
        for (char b = static_cast<char>(a + 1); b <= '~'; ++b) {
            bool same = true;
            for (unsigned y = 0; y < kGlyphHeight; ++y) {
                for (unsigned x = 0; x < kGlyphWidth; ++x)
                    same = same && font_pixel(a, x, y) == font_pixel(b, x, y);
            }
            INFO(a << " and " << b);
            CHECK_FALSE(same);
        }
    }
    CHECK_FALSE(font_pixel('\x7f', 0, 0));
    CHECK_FALSE(font_pixel('\xff', 0, 0));
    CHECK_FALSE(font_pixel('A', 5, 0));
}
