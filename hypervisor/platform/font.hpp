// SPDX-License-Identifier: Apache-2.0
//
// A small fixed-width font for screens that have no text mode: ASCII only, five by seven pixels a glyph.
#pragma once

#include "base/types.hpp"

namespace vmm
{

inline constexpr unsigned kGlyphWidth  = 5;
inline constexpr unsigned kGlyphHeight = 7;

// From the blank to the tilde. 35 bits each: seven rows of five, the top left pixel in bit 34.
inline constexpr u64 kGlyphs[] = {
    0x000000000, 0x108421004, 0x294a00000, 0x295f57d4a, //  !"#
    0x11f4717c4, 0x672222273, 0x32544564d, 0x108400000, // $%&'
    0x088842082, 0x208210888, 0x009575480, 0x0084f9080, // ()*+
    0x000001888, 0x0000f8000, 0x00000018c, 0x042222210, // ,-./
    0x3a33ae62e, 0x11842108e, 0x3a211111f, 0x3a213062e, // 0123
    0x08ca97c42, 0x7e1e0862e, 0x1910f462e, 0x7c2222108, // 4567
    0x3a317462e, 0x3a317844c, 0x018c03180, 0x00c601888, // 89:;
    0x088882082, 0x001f07c00, 0x208208888, 0x3a2111004, // <=>?
    0x3a37ade0e, 0x3a31fc631, 0x7a31f463e, 0x3a308422e, // @ABC
    0x72518c65c, 0x7e10f421f, 0x7e10f4210, 0x3a30bc62f, // DEFG
    0x4631fc631, 0x38842108e, 0x1c4210a4c, 0x4654c5251, // HIJK
    0x42108421f, 0x4775ac631, 0x4739ace71, 0x3a318c62e, // LMNO
    0x7a31f4210, 0x3a318d64d, 0x7a31f5251, 0x3e107043e, // PQRS
    0x7c8421084, 0x46318c62e, 0x46318c544, 0x4631ad771, // TUVW
    0x462a22a31, 0x462a21084, 0x7c222221f, 0x39084210e, // XYZ[
    0x420820821, 0x38421084e, 0x115100000, 0x00000001f, // backslash ]^_
    0x208200000, 0x000e0be2f, 0x421e8c63e, 0x000f8420f, // `abc
    0x042f8c62f, 0x000e8fe0e, 0x191e42108, 0x01f18bc2e, // defg
    0x421e8c631, 0x100c2108e, 0x080610a4c, 0x4212a6292, // hijk
    0x30842108e, 0x001aad6b5, 0x001e8c631, 0x000e8c62e, // lmno
    0x03d18fa10, 0x01f18bc21, 0x0016c4210, 0x000f8383e, // pqrs
    0x211e42126, 0x00118c62f, 0x00118c544, 0x0011ad6aa, // tuvw
    0x001151151, 0x023151110, 0x001f1111f, 0x0c8441083, // xyz{
    0x108421084, 0x608411098, 0x0008a8800,              // |}~
};
static_assert(sizeof kGlyphs / sizeof *kGlyphs == '~' - ' ' + 1);

// Whether the glyph of `c` has ink there; blank outside the glyph and for what is not printable ASCII.
constexpr bool font_pixel(char c, unsigned x, unsigned y)
{
    if (c < ' ' || c > '~' || x >= kGlyphWidth || y >= kGlyphHeight)
        return false;
    return (kGlyphs[c - ' '] >> (kGlyphWidth * kGlyphHeight - 1 - y * kGlyphWidth - x)) & 1;
}

} // namespace vmm
