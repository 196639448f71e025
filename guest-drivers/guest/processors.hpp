// SPDX-License-Identifier: Apache-2.0
//
// More vCPUs than the first one, woken by INIT and a start-up message as any x86 CPU. Each has a stack of its
// own and the interrupt table of all, its APIC is on, and its interrupts are off. Handlers and what they
// count are shared, so handlers of several vCPUs keep to atomic variables. Needs memory below 1 MiB, which
// dom0 has. [SDM3 9.4]
#pragma once

#include "guest/clock.hpp"
#include "guest/cpu.hpp"
#include "guest/hypercall.hpp"

namespace vmm::guest
{

inline constexpr u32 kMaxProcessors = 9;

// APIC ids are even, as the ABI has it.
constexpr u32 apic_id_of(u32 vcpu) { return 2 * vcpu; }
// Its number, from its APIC.
[[nodiscard]] u32 this_processor();

// Runs `body` on it. The vCPU may have run before: INIT ends whatever it does. False: it did not come within
// five seconds.
[[nodiscard]] bool start_processor(u32 vcpu, void (*body)());

// The messages alone.
void send_init(u32 vcpu);
void send_startup(u32 vcpu);

// Gives way to others until `done` or for ten seconds. False: still not.
template <class Predicate>
bool soon(Predicate done)
{
    const u64 deadline = system_time() + 10'000'000'000;
    while (!done()) {
        if (system_time() > deadline)
            return false;
        sched_op(SCHEDOP_yield, nullptr);
        pause(); // lets an emulator of many CPUs go on to the next
    }
    return true;
}

} // namespace vmm::guest
