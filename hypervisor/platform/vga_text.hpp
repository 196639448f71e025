// SPDX-License-Identifier: Apache-2.0
//
// The 80 by 25 text screen of the PC. Writes past the last line scroll; the cursor follows.
#pragma once

#include "platform/console.hpp"

namespace vmm
{

class Vga_text final : public Console_sink
{
  public:
    constexpr Vga_text() = default;

    // Clears the screen. `cells` is the screen's memory, reachable.
    void init(volatile u16* cells);
    void write(std::string_view text) override;

  private:
    void put(char c);
    void scroll();
    void show_cursor() const;

    volatile u16* cells_ = nullptr;
    unsigned row_        = 0;
    unsigned column_     = 0;
};

inline constexpr Hpa kVgaTextMemory{0xb8000};

} // namespace vmm
