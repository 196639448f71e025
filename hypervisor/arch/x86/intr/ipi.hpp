// SPDX-License-Identifier: Apache-2.0
//
// Interrupts from one physical CPU to another. There is one, which does nothing by itself: it ends a halt or
// takes the CPU out of its guest, and the CPU looks for what others want of it. Any CPU; hosted tests supply
// these functions.
#pragma once

#include "base/types.hpp"

namespace vmm
{

// Not to itself. That a CPU that is in the hypervisor gets it after its guest was entered again is
// guaranteed: it stays pending, and the guest exits at once.
void interrupt_cpu(u32 cpu);

// Returns when each of those CPUs, this one excepted, was out of its guest since the call. Locks may be held:
// a CPU leaves its guest without taking any.
void make_leave_guest(u64 cpus);

} // namespace vmm
