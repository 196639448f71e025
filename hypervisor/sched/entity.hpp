// SPDX-License-Identifier: Apache-2.0
//
// What the scheduler keeps of each vCPU. The policy sees only this, never the vCPU, so that a simulator can
// drive it with entities of its own.
#pragma once

#include "base/types.hpp"

namespace vmm
{

struct Sched_entity {
    enum class State : u8 { blocked, runnable, running };

    State state      = State::blocked;
    u32 weight       = 256;
    u64 virtual_time = 0; // weighted CPU time used; the smallest runs next
    Time started{};       // when it last got the CPU
    void* owner      = nullptr;
    Sched_entity* next = nullptr;
    Sched_entity* prev = nullptr;
};

} // namespace vmm
