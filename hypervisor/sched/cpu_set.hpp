// SPDX-License-Identifier: Apache-2.0
//
// A set of physical CPUs. Cpu_set is a value; Shared_cpu_set is one that CPUs change and read at the same
// time, each CPU its own bit: a reader gets every bit as it was at some time during the call.
#pragma once

#include "base/bits.hpp"

#include <array>
#include <atomic>
#include <bit>

namespace vmm
{

class Cpu_set
{
  public:
    // What the policies can handle, and the simulator in the tests does; the machine may have fewer.
    static constexpr u32 kSize = 256;
    static constexpr u32 kNone = kSize;

    constexpr Cpu_set() = default;
    constexpr explicit Cpu_set(u64 low) : words_{low} {}
    static constexpr Cpu_set all()
    {
        Cpu_set s;
        s.words_.fill(~0ull);
        return s;
    }
    static constexpr Cpu_set only(u32 cpu) { return Cpu_set().with(cpu); }

    [[nodiscard]] constexpr bool has(u32 cpu) const { return (words_[cpu / 64] >> (cpu % 64) & 1) != 0; }
    [[nodiscard]] constexpr Cpu_set with(u32 cpu) const
    {
        Cpu_set s = *this;
        s.words_[cpu / 64] |= bit(cpu % 64);
        return s;
    }
    [[nodiscard]] constexpr Cpu_set without(u32 cpu) const
    {
        Cpu_set s = *this;
        s.words_[cpu / 64] &= ~bit(cpu % 64);
        return s;
    }
    [[nodiscard]] constexpr bool any() const { return *this != Cpu_set(); }
    // The first member from `cpu` on, going round; kNone of an empty set.
    [[nodiscard]] constexpr u32 next(u32 cpu) const
    {
        for (u32 i = 0; i <= words_.size(); ++i) {
            const u32 word = (cpu / 64 + i) % words_.size();
            const u64 bits = i == 0 ? words_[word] & (~0ull << (cpu % 64)) : words_[word];
            if (bits != 0)
                return word * 64 + static_cast<u32>(std::countr_zero(bits));
        }
        return kNone;
    }
    template <class Visit>
    void for_each(Visit visit) const
    {
        for (u32 word = 0; word < words_.size(); ++word) {
            for (u64 bits = words_[word]; bits != 0; bits &= bits - 1)
                visit(word * 64 + static_cast<u32>(std::countr_zero(bits)));
        }
    }
    [[nodiscard]] u32 count() const
    {
        u32 members = 0;
        for_each([&](u32) { ++members; });
        return members;
    }
    [[nodiscard]] constexpr u64 low_word() const { return words_[0]; }

    constexpr Cpu_set operator&(const Cpu_set& o) const
    {
        Cpu_set s;
        for (u32 i = 0; i < words_.size(); ++i)
            s.words_[i] = words_[i] & o.words_[i];
        return s;
    }
    constexpr Cpu_set operator|(const Cpu_set& o) const
    {
        Cpu_set s;
        for (u32 i = 0; i < words_.size(); ++i)
            s.words_[i] = words_[i] | o.words_[i];
        return s;
    }
    // All others.
    constexpr Cpu_set operator~() const
    {
        Cpu_set s;
        for (u32 i = 0; i < words_.size(); ++i)
            s.words_[i] = ~words_[i];
        return s;
    }
    constexpr bool operator==(const Cpu_set&) const = default;

  private:
    friend class Shared_cpu_set;
    std::array<u64, kSize / 64> words_{};
};

class Shared_cpu_set
{
  public:
    constexpr Shared_cpu_set() = default;
    constexpr explicit Shared_cpu_set(const Cpu_set& set) { store(set); }

    [[nodiscard]] bool has(u32 cpu) const
    {
        return (words_[cpu / 64].load(std::memory_order_relaxed) >> (cpu % 64) & 1) != 0;
    }
    void add(u32 cpu) { words_[cpu / 64].fetch_or(bit(cpu % 64), std::memory_order_relaxed); }
    void remove(u32 cpu) { words_[cpu / 64].fetch_and(~bit(cpu % 64), std::memory_order_relaxed); }
    [[nodiscard]] Cpu_set load() const
    {
        Cpu_set s;
        for (u32 i = 0; i < words_.size(); ++i)
            s.words_[i] = words_[i].load(std::memory_order_relaxed);
        return s;
    }
    constexpr void store(const Cpu_set& s)
    {
        for (u32 i = 0; i < words_.size(); ++i)
            words_[i].store(s.words_[i], std::memory_order_relaxed);
    }

  private:
    std::array<std::atomic<u64>, Cpu_set::kSize / 64> words_{};
};

} // namespace vmm
