// SPDX-License-Identifier: Apache-2.0
//
// Waiting with a limit: until something is so or a point of system time has come, whichever is first. Owns
// VIRQ_TIMER of the first CPU from the first wait on; a program that sets timers itself does not use it.
#pragma once

#include "guest/clock.hpp"

namespace vmm::guest
{

inline constexpr u64 kMillisecond = 1'000'000;
inline constexpr u64 kSecond      = 1'000 * kMillisecond;
inline constexpr u64 kForever     = ~u64{0};

[[nodiscard]] inline u64 in_seconds(u64 seconds) { return system_time() + seconds * kSecond; }

// Makes sure that an interrupt comes at `when` (nanoseconds of system time).
void wake_at(u64 when);

// Sleeps with interrupts on; false if the time came first. Interrupts are off on entry and on return.
template <class Predicate>
bool wait_until(Predicate done, u64 deadline)
{
    while (!done()) {
        if (deadline != kForever) {
            if (system_time() >= deadline)
                return false;
            wake_at(deadline);
        }
        asm volatile("sti; hlt; cli" : : : "memory");
    }
    return true;
}

} // namespace vmm::guest
