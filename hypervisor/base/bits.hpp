// SPDX-License-Identifier: Apache-2.0
//
// Bit and alignment arithmetic, and a checked sum for numbers that came from a guest.
#pragma once

#include "base/expected.hpp"

#include <algorithm>
#include <bit>

namespace vmm
{

constexpr u64 bit(unsigned n) { return 1ull << n; }
constexpr u64 low_bits(unsigned n) { return n >= 64 ? ~0ull : bit(n) - 1; }
constexpr u64 field(u64 value, unsigned high, unsigned low)
{
    return (value >> low) & low_bits(high - low + 1);
}
// The low `bits` (1 to 64) of a value, the highest of them repeated to the left.
constexpr u64 sign_extend(u64 value, unsigned bits)
{
    return static_cast<u64>(static_cast<s64>(value << (64 - bits)) >> (64 - bits));
}

constexpr u64 align_down(u64 value, u64 alignment) { return value & ~(alignment - 1); }
constexpr u64 align_up(u64 value, u64 alignment) { return (value + alignment - 1) & ~(alignment - 1); }
constexpr bool is_aligned(u64 value, u64 alignment) { return (value & (alignment - 1)) == 0; }
constexpr u64 div_round_up(u64 value, u64 divisor) { return (value + divisor - 1) / divisor; }
// Of the largest naturally aligned piece that starts at `value` and is at most `count`, which is not 0, and
// 2^most.
constexpr unsigned piece_order(u64 value, u64 count, unsigned most)
{
    return std::min({most, static_cast<unsigned>(std::countr_zero(value)),
                     static_cast<unsigned>(std::bit_width(count)) - 1});
}

// An index that was found to be below `size`, for use where a guest chose it: 0 where that is not so, which
// is while the CPU speculates past the check. Arithmetic and no branch, in words that the compiler cannot see
// through.
inline u64 clip_index(u64 index, u64 size)
{
    u64 mask = 0;
    asm volatile("cmp %2, %1\n\tsbb %0, %0" : "=r"(mask) : "r"(index), "r"(size) : "cc");
    return index & mask;
}

template <class T>
constexpr Expected<T> checked_add(T a, T b)
{
    T sum{};
    if (__builtin_add_overflow(a, b, &sum))
        return fail(Errc::einval);
    return sum;
}

} // namespace vmm
