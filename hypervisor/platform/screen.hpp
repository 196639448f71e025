// SPDX-License-Identifier: Apache-2.0
//
// The machine's screen, which the hypervisor writes to while booting and dom0 takes over when it asks what
// screen there is. After that the hypervisor leaves it alone, except to panic. Text goes to the 80 by 25
// cells of the PC or, where there is no text mode (UEFI), onto a linear framebuffer. The screen's memory is
// slow and is never read: what is shown is remembered, and only cells that change are drawn.
// [xen/include/public/xen.h, dom0_vga_console_info]
#pragma once

#include "platform/boot_info.hpp"
#include "platform/console.hpp"

#include <array>
#include <optional>

#include <xen/xen.h>

namespace vmm
{

inline constexpr Hpa kVgaTextMemory{0xb8000};

class Text_screen final : public Console_sink
{
  public:
    constexpr Text_screen() = default;

    // Both clear the screen, whose memory must be reachable. False for a format that is not understood
    // (15 to 32 bits a pixel, direct colour, are).
    void init(volatile u16* cells);
    bool init(const Framebuffer& mode, volatile u8* pixels);
    void write(std::string_view text) override;

    [[nodiscard]] unsigned columns() const { return columns_; }
    [[nodiscard]] unsigned rows() const { return rows_; }

  private:
    static constexpr std::size_t kMaxCells = 32 * 1024;

    void start(unsigned columns, unsigned rows, unsigned step);
    void put(char c);
    void set_cell(unsigned row, unsigned column, char c);
    void move_up();
    void draw(unsigned row, unsigned column, char c);
    void put_pixel(unsigned x, unsigned y, u32 colour);
    void show_cursor() const;

    volatile u16* cells_      = nullptr; // one of these two
    volatile u8* pixels_      = nullptr;
    u32 pitch_                = 0;
    unsigned bytes_per_pixel_ = 0;
    unsigned scale_           = 1; // screen pixels for each pixel of a cell, both ways
    u32 ink_                  = 0;
    unsigned columns_         = 0;
    unsigned rows_            = 0;
    unsigned step_            = 1; // lines that a full screen moves up by
    unsigned row_             = 0;
    unsigned column_          = 0;
    std::array<char, kMaxCells> shown_{};
};

// What dom0 is told. `efi`: booted by UEFI. Nothing for a format that cannot be told. Pure.
std::optional<dom0_vga_console_info> describe_screen(const Framebuffer& mode, bool efi);

// As above for this machine; from then on the screen is dom0's.
std::optional<dom0_vga_console_info> give_screen_to_dom0();

} // namespace vmm
