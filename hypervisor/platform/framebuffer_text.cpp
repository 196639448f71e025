// SPDX-License-Identifier: Apache-2.0
#include "platform/framebuffer_text.hpp"

#include "base/bits.hpp"
#include "platform/font.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

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

} // namespace

bool Framebuffer_text::init(const Framebuffer& mode, volatile u8* pixels)
{
    if (!is_understood(mode))
        return false;
    pixels_          = pixels;
    pitch_           = mode.pitch;
    bytes_per_pixel_ = (mode.bits_per_pixel + 7u) / 8;
    scale_           = std::max(1u, mode.width / kWidePixels);
    ink_ = channel(mode.red_position, mode.red_size) | channel(mode.green_position, mode.green_size) |
           channel(mode.blue_position, mode.blue_size);
    columns_ = mode.width / (kCellWidth * scale_);
    rows_    = std::min<unsigned>(mode.height / (kCellHeight * scale_), kMaxCells / columns_);
    row_ = column_ = 0;
    for (u64 y = 0; y < mode.height; ++y) {
        for (u64 x = 0; x < mode.width * u64{bytes_per_pixel_}; ++x)
            pixels_[y * pitch_ + x] = 0;
    }
    shown_.fill(' ');
    return true;
}

void Framebuffer_text::put_pixel(unsigned x, unsigned y, u32 colour)
{
    volatile u8* at = pixels_ + u64{y} * pitch_ + u64{x} * bytes_per_pixel_;
    if (bytes_per_pixel_ == 4) {
        *reinterpret_cast<volatile u32*>(at) = colour;
    } else {
        for (unsigned i = 0; i < bytes_per_pixel_; ++i)
            at[i] = static_cast<u8>(colour >> (8 * i));
    }
}

void Framebuffer_text::draw(unsigned row, unsigned column, char c)
{
    const unsigned left = column * kCellWidth * scale_, top = row * kCellHeight * scale_;
    for (unsigned y = 0; y < kCellHeight * scale_; ++y) {
        for (unsigned x = 0; x < kCellWidth * scale_; ++x)
            put_pixel(left + x, top + y, font_pixel(c, x / scale_, y / (2 * scale_)) ? ink_ : 0);
    }
}

void Framebuffer_text::set_cell(unsigned row, unsigned column, char c)
{
    char& shown = shown_[row * columns_ + column];
    if (shown != c)
        draw(row, column, c);
    shown = c;
}

void Framebuffer_text::move_up(unsigned lines)
{
    for (unsigned row = 0; row < rows_; ++row) {
        for (unsigned column = 0; column < columns_; ++column)
            set_cell(row, column, row + lines < rows_ ? shown_[(row + lines) * columns_ + column] : ' ');
    }
}

void Framebuffer_text::put(char c)
{
    if (c == '\r') {
        column_ = 0;
    } else if (c == '\b') {
        column_ -= column_ > 0;
    } else if (c == '\n' || column_ == columns_) {
        column_ = 0;
        if (++row_ == rows_) {
            const unsigned lines = std::max(1u, rows_ / 4);
            move_up(lines);
            row_ -= lines;
        }
    }
    if (c >= ' ' && c <= '~')
        set_cell(row_, column_++, c);
}

void Framebuffer_text::write(std::string_view text)
{
    for (char c : text)
        put(c);
}

} // namespace vmm
