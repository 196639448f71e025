// SPDX-License-Identifier: Apache-2.0
//
// Text on a linear framebuffer, for machines without a text mode (UEFI). The screen's memory is slow and is
// never read: what is shown is remembered, only cells that change are drawn, and a full screen moves up by
// a quarter at once.
#pragma once

#include "platform/boot_info.hpp"
#include "platform/console.hpp"

#include <array>

namespace vmm
{

class Framebuffer_text final : public Console_sink
{
  public:
    constexpr Framebuffer_text() = default;

    // Clears the screen. `pixels` is its memory, reachable. False for a format that is not understood
    // (15 to 32 bits a pixel, direct colour, are).
    bool init(const Framebuffer& mode, volatile u8* pixels);
    void write(std::string_view text) override;

    [[nodiscard]] unsigned columns() const { return columns_; }
    [[nodiscard]] unsigned rows() const { return rows_; }

  private:
    static constexpr std::size_t kMaxCells = 32 * 1024;

    void put(char c);
    void set_cell(unsigned row, unsigned column, char c);
    void move_up(unsigned lines);
    void draw(unsigned row, unsigned column, char c);
    void put_pixel(unsigned x, unsigned y, u32 colour);

    volatile u8* pixels_      = nullptr;
    u32 pitch_                = 0;
    unsigned bytes_per_pixel_ = 0;
    unsigned scale_           = 1; // screen pixels for each pixel of a cell, both ways
    u32 ink_                  = 0;
    unsigned columns_         = 0;
    unsigned rows_            = 0;
    unsigned row_             = 0;
    unsigned column_          = 0;
    std::array<char, kMaxCells> shown_{};
};

} // namespace vmm
