// SPDX-License-Identifier: Apache-2.0
//
// A small fixed-width font for screens that have no text mode: ASCII only, five by seven pixels a glyph.
#pragma once

#include "base/types.hpp"

namespace vmm
{

inline constexpr unsigned kGlyphWidth  = 5;
inline constexpr unsigned kGlyphHeight = 7;

// Whether the glyph of `c` has ink there; blank outside the glyph and for what is not printable ASCII.
bool font_pixel(char c, unsigned x, unsigned y);

} // namespace vmm
