// SPDX-License-Identifier: Apache-2.0
//
// What each physical CPU has for itself. CPUs are numbered from 0, the one that booted, without gaps, in the
// order in which they came up; GS points at where the slot of the CPU that runs begins, in bytes, among slots
// of a cache line. Code of the hypervisor never changes its CPU, so here() is good until the guest is
// entered. Hosted, a thread is a CPU.
#pragma once

#include "base/types.hpp"

#include <array>
#include <cstddef>

namespace vmm
{

// Affinity masks have a bit for each.
inline constexpr u32 kMaxCpus   = 64;
inline constexpr u64 kCacheLine = 64;

#if __STDC_HOSTED__
inline thread_local u32 hosted_cpu = 0;
inline u64 this_cpu_line() { return hosted_cpu * kCacheLine; }
#else
[[gnu::always_inline]] inline u64 this_cpu_line()
{
    u64 line = 0;
    asm("mov %%gs:0, %0" : "=r"(line));
    return line;
}
#endif
[[gnu::always_inline]] inline u32 this_cpu() { return static_cast<u32>(this_cpu_line() / kCacheLine); }

// On lines of the cache of their own, so that CPUs do not take turns writing to one.
template <class T>
class Per_cpu
{
  public:
    [[nodiscard]] T& here()
    {
        auto* const first = reinterpret_cast<std::byte*>(slots_.data());
        return reinterpret_cast<Slot*>(first + this_cpu_line() * (sizeof(Slot) / kCacheLine))->value;
    }
    [[nodiscard]] T& of(u32 cpu) { return slots_[cpu].value; }
    [[nodiscard]] const T& of(u32 cpu) const { return slots_[cpu].value; }

  private:
    struct alignas(kCacheLine) Slot {
        T value{};
    };
    std::array<Slot, kMaxCpus> slots_{};
};

} // namespace vmm
