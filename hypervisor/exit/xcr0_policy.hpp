// SPDX-License-Identifier: Apache-2.0
//
// Which values of XCR0 a guest may set. [SDM1 13.3, APM2 11.5.2]
#pragma once

#include "base/bits.hpp"

namespace vmm
{

namespace xcr0
{
inline constexpr u64 x87    = bit(0);
inline constexpr u64 sse    = bit(1);
inline constexpr u64 avx    = bit(2);
inline constexpr u64 avx512 = bit(5) | bit(6) | bit(7);
} // namespace xcr0

constexpr bool is_valid_xcr0(u64 value, u64 allowed)
{
    if ((value & ~allowed) != 0 || !(value & xcr0::x87))
        return false;
    if ((value & xcr0::avx) && !(value & xcr0::sse))
        return false;
    const u64 wide = value & xcr0::avx512;
    return wide == 0 || (wide == xcr0::avx512 && (value & xcr0::avx));
}

} // namespace vmm
