// SPDX-License-Identifier: Apache-2.0
//
// What each vCPU has for itself, found through GS: its number, its random numbers, its one-shot timer, what
// it has done, and how long it has lived: time that passed while it looked, so that a domain which was paused
// or starved has not waited. Everybody may read; only its vCPU writes, but for what is atomic.
#pragma once

#include "domu_stress/trouble.hpp"

#include "guest/processors.hpp"

namespace vmm::stress
{

inline constexpr u64 kMicrosecond = 1'000;
inline constexpr u64 kMillisecond = 1'000'000;
// How long a vCPU may live before what it waits for counts as lost.
inline constexpr u64 kPatience    = 20'000 * kMillisecond;

enum class Deed : u32 { ipi, port, loop, peer, heard, timer, mapped, copied, granted, nap, yield, poll };
inline constexpr u32 kDeeds = 12;

struct alignas(64) Worker {
    u32 id       = 0;
    u64 random   = 0;
    u64 lived    = 0;
    u64 looked   = 0;                // system time
    u64 overdue  = 0;                // life when the timer was first seen not to have come
    u64 latest   = 0;                // the most that a timer was late, since the last heartbeat
    u32 poll_for = 0;                // a port of its own that stays masked
    std::atomic<u64> due{0};         // when the timer shall come; 0: it is not set
    std::atomic<bool> visits{false}; // is using what belongs to the link with the peer
    std::atomic<bool> settled{false};
    std::atomic<u64> done[kDeeds] = {};

    void did(Deed what) { done[static_cast<u32>(what)].fetch_add(1, std::memory_order_relaxed); }
    // From 0 to `below` - 1.
    u64 any(u64 below);
    [[nodiscard]] u64 now() const;
    // Lets time pass.
    void look();
    // The timer: set between 0 and `most` from now, if it is not; true while all is well with it.
    void set_alarm(u64 most);
    bool alarm_works();
    // Halts until the timer or something else comes. Interrupts are on before and afterwards.
    void nap(u64 most);
    void yield();
    // Waits for an event that nobody sends, until the time that it gives itself has passed.
    void poll(u64 most);
};

extern Worker workers[guest::kMaxProcessors];
extern u32 processors;

// The vCPU that asks. After become().
[[nodiscard]] Worker& me();
// From now on this vCPU is that one, and has a timer; false, with the trouble told, when it cannot.
bool become(u32 vcpu);
u64 total(Deed what);

} // namespace vmm::stress
