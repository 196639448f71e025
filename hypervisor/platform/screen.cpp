// SPDX-License-Identifier: Apache-2.0
#include "platform/screen.hpp"

#include "arch/x86/cpu/port_io.hpp"
#include "base/bits.hpp"
#include "platform/font.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

constexpr u16 kTextColumns = 80;
constexpr u16 kTextRows    = 25;
constexpr u16 kTextFont    = 16;     // lines a character
constexpr u16 kAttribute   = 0x0700; // light grey on black
constexpr u16 kCrtcIndex   = 0x3d4;
constexpr u16 kCrtcData    = 0x3d5;

// A glyph's rows are drawn twice, so that letters keep the shape they have on a text screen.
constexpr unsigned kCellWidth  = 8;
constexpr unsigned kCellHeight = 16;
constexpr unsigned kWidePixels = 1600; // from twice this on everything is drawn twice as large, and so on
constexpr unsigned kMaxWidth   = 16 * 1024;
constexpr unsigned kMaxPitch   = 1 << 20;

// Light grey in one channel.
u32 channel(u8 position, u8 size) { return static_cast<u32>((low_bits(size) * 3 / 4) << position); }

bool is_understood(const Framebuffer& mode)
{
    const auto fits = [&](u8 position, u8 size) {
        return size > 0 && position + size <= mode.bits_per_pixel;
    };
    return mode.kind == Framebuffer::Kind::rgb && mode.bits_per_pixel >= 15 && mode.bits_per_pixel <= 32 &&
           mode.width >= kCellWidth && mode.height >= kCellHeight && mode.width <= kMaxWidth &&
           mode.height <= kMaxWidth && mode.pitch <= kMaxPitch &&
           mode.pitch >= mode.width * ((mode.bits_per_pixel + 7u) / 8) &&
           fits(mode.red_position, mode.red_size) && fits(mode.green_position, mode.green_size) &&
           fits(mode.blue_position, mode.blue_size);
}

dom0_vga_console_info text_mode()
{
    dom0_vga_console_info info{};
    info.video_type    = XEN_VGATYPE_TEXT_MODE_3;
    info.u.text_mode_3 = {.font_height = kTextFont,
                          .cursor_x    = 0,
                          .cursor_y    = kTextRows - 1,
                          .rows        = kTextRows,
                          .columns     = kTextColumns};
    return info;
}

} // namespace

void Text_screen::init(volatile u16* cells)
{
    cells_ = cells;
    std::fill_n(cells_, kTextRows * kTextColumns, u16{kAttribute | ' '});
    start(kTextColumns, kTextRows, 1);
    show_cursor();
}

bool Text_screen::init(const Framebuffer& mode, volatile u8* pixels)
{
    if (!is_understood(mode))
        return false;
    cells_           = nullptr;
    pixels_          = pixels;
    pitch_           = mode.pitch;
    bytes_per_pixel_ = (mode.bits_per_pixel + 7u) / 8;
    scale_           = std::max(1u, mode.width / kWidePixels);
    ink_ = channel(mode.red_position, mode.red_size) | channel(mode.green_position, mode.green_size) |
           channel(mode.blue_position, mode.blue_size);
    for (u64 y = 0; y < mode.height; ++y)
        std::fill_n(pixels_ + y * pitch_, mode.width * u64{bytes_per_pixel_}, u8{0});
    const unsigned columns = mode.width / (kCellWidth * scale_);
    const unsigned rows    = std::min<unsigned>(mode.height / (kCellHeight * scale_), kMaxCells / columns);
    start(columns, rows, std::max(1u, rows / 4));
    return true;
}

void Text_screen::start(unsigned columns, unsigned rows, unsigned step)
{
    columns_ = columns;
    rows_    = rows;
    step_    = step;
    row_ = column_ = 0;
    shown_.fill(' ');
}

void Text_screen::put_pixel(unsigned x, unsigned y, u32 colour)
{
    volatile u8* at = pixels_ + u64{y} * pitch_ + u64{x} * bytes_per_pixel_;
    if (bytes_per_pixel_ == 4) {
        *reinterpret_cast<volatile u32*>(at) = colour;
    } else {
        for (unsigned i = 0; i < bytes_per_pixel_; ++i)
            at[i] = static_cast<u8>(colour >> (8 * i));
    }
}

void Text_screen::draw(unsigned row, unsigned column, char c)
{
    if (cells_) {
        cells_[row * columns_ + column] = static_cast<u16>(kAttribute | static_cast<u8>(c));
        return;
    }
    const unsigned left = column * kCellWidth * scale_, top = row * kCellHeight * scale_;
    for (unsigned y = 0; y < kCellHeight * scale_; ++y) {
        for (unsigned x = 0; x < kCellWidth * scale_; ++x)
            put_pixel(left + x, top + y, font_pixel(c, x / scale_, y / (2 * scale_)) ? ink_ : 0);
    }
}

void Text_screen::show_cursor() const
{
    const unsigned at = row_ * columns_ + column_;
    out8(kCrtcIndex, 0x0e);
    out8(kCrtcData, static_cast<u8>(at >> 8));
    out8(kCrtcIndex, 0x0f);
    out8(kCrtcData, static_cast<u8>(at));
}

void Text_screen::set_cell(unsigned row, unsigned column, char c)
{
    char& shown = shown_[row * columns_ + column];
    if (shown != c)
        draw(row, column, c);
    shown = c;
}

void Text_screen::move_up()
{
    for (unsigned row = 0; row < rows_; ++row) {
        for (unsigned column = 0; column < columns_; ++column)
            set_cell(row, column, row + step_ < rows_ ? shown_[(row + step_) * columns_ + column] : ' ');
    }
}

void Text_screen::put(char c)
{
    if (c == '\r') {
        column_ = 0;
    } else if (c == '\b') {
        column_ -= column_ > 0;
    } else if (c == '\n' || column_ == columns_) {
        column_ = 0;
        if (++row_ == rows_) {
            move_up();
            row_ -= step_;
        }
    }
    if (c >= ' ' && c <= '~')
        set_cell(row_, column_++, c);
}

void Text_screen::write(std::string_view text)
{
    for (char c : text)
        put(c);
    if (cells_)
        show_cursor();
}

std::optional<dom0_vga_console_info> describe_screen(const Framebuffer& mode, bool efi)
{
    if (mode.kind != Framebuffer::Kind::rgb) {
        if (efi)
            return std::nullopt; // UEFI has no text mode
        return text_mode();
    }
    if (mode.width > 0xffff || mode.height > 0xffff || mode.pitch > 0xffff)
        return std::nullopt;
    dom0_vga_console_info info{};
    info.video_type    = efi ? XEN_VGATYPE_EFI_LFB : XEN_VGATYPE_VESA_LFB;
    auto& lfb          = info.u.vesa_lfb;
    lfb.width          = static_cast<u16>(mode.width);
    lfb.height         = static_cast<u16>(mode.height);
    lfb.bytes_per_line = static_cast<u16>(mode.pitch);
    lfb.bits_per_pixel = mode.bits_per_pixel;
    lfb.lfb_base       = static_cast<u32>(mode.address.value());
    lfb.ext_lfb_base   = static_cast<u32>(mode.address.value() >> 32);
    lfb.lfb_size       = static_cast<u32>(div_round_up(u64{mode.pitch} * mode.height, 0x10000));
    lfb.red_pos        = mode.red_position;
    lfb.red_size       = mode.red_size;
    lfb.green_pos      = mode.green_position;
    lfb.green_size     = mode.green_size;
    lfb.blue_pos       = mode.blue_position;
    lfb.blue_size      = mode.blue_size;
    return info;
}

} // namespace vmm
