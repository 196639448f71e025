// SPDX-License-Identifier: Apache-2.0
//
// What the scheduling policy keeps of each vCPU. The policy sees only this, never the vCPU, so that a
// simulator can drive it with entities of its own.
#pragma once

#include "base/types.hpp"

namespace vmm
{

inline constexpr u32 kDefaultWeight = 256;

struct Sched_entity {
    u32 weight       = kDefaultWeight;
    u64 virtual_time = 0;       // nanoseconds of CPU used, scaled by kDefaultWeight / weight
    Time started{};             // when it last got the CPU
    u64 hard_affinity  = ~0ull; // CPUs it may, and would rather, run on
    u64 soft_affinity  = ~0ull;
    bool queued        = false;
    bool blocked       = false;   // waits for an event (HLT, SCHEDOP_poll)
    void* owner        = nullptr; // whoever embeds it
    Sched_entity* next = nullptr;
    Sched_entity* prev = nullptr;
};

} // namespace vmm
