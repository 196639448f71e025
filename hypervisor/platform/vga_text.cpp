// SPDX-License-Identifier: Apache-2.0
#include "platform/vga_text.hpp"

#include "arch/x86/cpu/port_io.hpp"

namespace vmm
{
namespace
{

constexpr unsigned kColumns = 80;
constexpr unsigned kRows    = 25;
constexpr u16 kAttribute    = 0x0700; // light grey on black
constexpr u16 kBlank        = kAttribute | ' ';
constexpr u16 kCrtcIndex    = 0x3d4;
constexpr u16 kCrtcData     = 0x3d5;

} // namespace

void Vga_text::init(volatile u16* cells)
{
    cells_ = cells;
    for (unsigned i = 0; i < kRows * kColumns; ++i)
        cells_[i] = kBlank;
    row_ = column_ = 0;
    show_cursor();
}

void Vga_text::scroll()
{
    for (unsigned i = 0; i < (kRows - 1) * kColumns; ++i)
        cells_[i] = cells_[i + kColumns];
    for (unsigned i = (kRows - 1) * kColumns; i < kRows * kColumns; ++i)
        cells_[i] = kBlank;
}

void Vga_text::put(char c)
{
    if (c == '\r') {
        column_ = 0;
    } else if (c == '\b') {
        column_ -= column_ > 0;
    } else if (c == '\n' || column_ == kColumns) {
        column_ = 0;
        if (++row_ == kRows) {
            scroll();
            row_ = kRows - 1;
        }
    }
    if (c >= ' ' && c <= '~')
        cells_[row_ * kColumns + column_++] = static_cast<u16>(kAttribute | static_cast<u8>(c));
}

void Vga_text::show_cursor() const
{
    const unsigned at = row_ * kColumns + column_;
    out8(kCrtcIndex, 0x0e);
    out8(kCrtcData, static_cast<u8>(at >> 8));
    out8(kCrtcIndex, 0x0f);
    out8(kCrtcData, static_cast<u8>(at));
}

void Vga_text::write(std::string_view text)
{
    for (char c : text)
        put(c);
    show_cursor();
}

} // namespace vmm
