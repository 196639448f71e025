// SPDX-License-Identifier: Apache-2.0
//
// A set of interrupt vectors 0..255, as the IRR, ISR and TMR of a local APIC are. Any CPU may add and
// remove; a reader on another CPU sees each vector either in or out. Not a general bitmap.
#pragma once

#include "base/types.hpp"

#include <array>
#include <atomic>
#include <bit>

namespace vmm
{

// Such a set at one moment.
using Vectors = std::array<u64, 4>;

// The highest vector of either kind of set, or -1 when there is none.
template <class Set>
constexpr int highest(const Set& vectors)
{
    for (unsigned i = 4; i-- > 0;) {
        if (const u64 word = vectors[i])
            return static_cast<int>(i * 64 + 63 - static_cast<unsigned>(std::countl_zero(word)));
    }
    return -1;
}

// Vectors 32*i to 32*i+31, as one of the APIC's eight registers shows them; adds those of a register.
inline constexpr unsigned kVectorRegisters = 8;
constexpr u32 vector_register(const Vectors& vectors, unsigned i)
{
    return static_cast<u32>(vectors[i / 2] >> i % 2 * 32);
}
constexpr void add_vector_register(Vectors& vectors, unsigned i, u32 value)
{
    vectors[i / 2] |= u64{value} << i % 2 * 32;
}

class Vector_set
{
  public:
    // Vectors 64*i to 64*i+63.
    [[nodiscard]] u64 operator[](unsigned i) const { return words_[i].load(std::memory_order_acquire); }
    // True when the vector was not in the set before.
    bool add(u8 vector)
    {
        const u64 mask = 1ull << (vector & 63);
        return (words_[vector >> 6].fetch_or(mask, std::memory_order_acq_rel) & mask) == 0;
    }
    void remove(u8 vector)
    {
        words_[vector >> 6].fetch_and(~(1ull << (vector & 63)), std::memory_order_acq_rel);
    }
    [[nodiscard]] bool contains(u8 vector) const { return ((*this)[vector >> 6] >> (vector & 63)) & 1; }

    [[nodiscard]] bool empty() const
    {
        const Vector_set& words = *this;
        return (words[0] | words[1] | words[2] | words[3]) == 0;
    }
    void clear()
    {
        for (auto& word : words_)
            word.store(0, std::memory_order_relaxed);
    }

    [[nodiscard]] Vectors vectors() const
    {
        const Vector_set& words = *this;
        return {words[0], words[1], words[2], words[3]};
    }
    void add(const Vectors& more)
    {
        for (unsigned i = 0; i < words_.size(); ++i)
            words_[i].fetch_or(more[i], std::memory_order_acq_rel);
    }
    // Empties it.
    Vectors take()
    {
        Vectors all{};
        for (unsigned i = 0; i < words_.size(); ++i)
            all[i] = words_[i].exchange(0, std::memory_order_acq_rel);
        return all;
    }

  private:
    std::array<std::atomic<u64>, 4> words_{};
};

} // namespace vmm
