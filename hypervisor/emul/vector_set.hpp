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

// Such a set at one moment, as the APIC's eight registers have it.
using Vectors = std::array<u32, 8>;

// The highest vector, or -1 when there is none.
constexpr int highest(const Vectors& vectors)
{
    for (unsigned i = 8; i-- > 0;) {
        if (vectors[i] != 0)
            return static_cast<int>(i * 32 + 31 - static_cast<unsigned>(std::countl_zero(vectors[i])));
    }
    return -1;
}

class Vector_set
{
  public:
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
    [[nodiscard]] bool contains(u8 vector) const { return (word(vector >> 6) >> (vector & 63)) & 1; }

    [[nodiscard]] bool empty() const { return (word(0) | word(1) | word(2) | word(3)) == 0; }
    // The highest vector, or -1 when there is none.
    [[nodiscard]] int highest() const
    {
        for (unsigned i = 4; i-- > 0;) {
            if (const u64 bits = word(i))
                return static_cast<int>(i * 64 + 63 - static_cast<unsigned>(std::countl_zero(bits)));
        }
        return -1;
    }
    void clear()
    {
        for (auto& word : words_)
            word.store(0, std::memory_order_relaxed);
    }

    // Vectors 32*i to 32*i+31, as the APIC's registers show them.
    [[nodiscard]] u32 register_value(unsigned i) const
    {
        return static_cast<u32>(word(i / 2) >> (i % 2 * 32));
    }
    void set_register(unsigned i, u32 value)
    {
        const unsigned shift = i % 2 * 32;
        const u64 others     = word(i / 2) & ~(0xffffffffull << shift);
        words_[i / 2].store(others | static_cast<u64>(value) << shift, std::memory_order_relaxed);
    }

    [[nodiscard]] Vectors vectors() const
    {
        Vectors all{};
        for (unsigned i = 0; i < all.size(); ++i)
            all[i] = register_value(i);
        return all;
    }
    void add(const Vectors& more)
    {
        for (unsigned i = 0; i < words_.size(); ++i)
            words_[i].fetch_or(more[2 * i] | u64{more[2 * i + 1]} << 32, std::memory_order_acq_rel);
    }
    // Empties it.
    Vectors take()
    {
        Vectors all{};
        for (unsigned i = 0; i < words_.size(); ++i) {
            const u64 word = words_[i].exchange(0, std::memory_order_acq_rel);
            all[2 * i]     = static_cast<u32>(word);
            all[2 * i + 1] = static_cast<u32>(word >> 32);
        }
        return all;
    }

  private:
    [[nodiscard]] u64 word(unsigned i) const { return words_[i].load(std::memory_order_acquire); }

    std::array<std::atomic<u64>, 4> words_{};
};

} // namespace vmm
