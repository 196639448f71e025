// SPDX-License-Identifier: Apache-2.0
//
// What each physical CPU has for itself. CPUs are numbered from 0, the one that booted, without gaps, in the
// order in which they came up; GS points at the number of the CPU that runs. Code of the hypervisor never
// changes its CPU, so here() is good until the guest is entered. Hosted, a thread is a CPU.
#pragma once

#include "base/types.hpp"

#include <array>

namespace vmm
{

// Affinity masks have a bit for each.
inline constexpr u32 kMaxCpus = 64;

#if __STDC_HOSTED__
inline thread_local u32 hosted_cpu = 0;
inline u32 this_cpu() { return hosted_cpu; }
#else
[[gnu::always_inline]] inline u32 this_cpu()
{
    u32 number;
    asm("mov %%gs:0, %0" : "=r"(number));
    return number;
}
#endif

// On lines of the cache of their own, so that CPUs do not take turns writing to one.
template <class T>
class Per_cpu
{
  public:
    [[nodiscard]] T& here() { return of(this_cpu()); }
    [[nodiscard]] T& of(u32 cpu) { return slots_[cpu].value; }
    [[nodiscard]] const T& of(u32 cpu) const { return slots_[cpu].value; }

  private:
    struct alignas(64) Slot {
        T value{};
    };
    std::array<Slot, kMaxCpus> slots_{};
};

} // namespace vmm
