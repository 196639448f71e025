// SPDX-License-Identifier: Apache-2.0
//
// Which vCPU runs on which CPU. Applies the policy (Run_queue) to vCPUs, keeps their run states, switches
// what VM entry does not switch, and idles. A vCPU wants the CPU while it is up, its domain is not paused
// and it is not blocked.
#pragma once

#include "base/types.hpp"

namespace vmm
{
class Vcpu;

// The physical CPUs that run vCPUs: one, until the others are started too.
inline u32 online_cpu_count() { return 1; }
inline u64 online_cpu_mask() { return 1; }

} // namespace vmm

namespace vmm::scheduler
{

// Runs vCPUs on this CPU for ever.
[[noreturn]] void run_this_cpu();

// Ends a block and queues the vCPU when it wants the CPU. Any CPU.
void wake(Vcpu& vcpu);
// The vCPU waits for an event. Called while it runs.
void block(Vcpu& vcpu);
void yield(Vcpu& vcpu);
// Something changed that decides whether the vCPU wants the CPU: its domain was paused or unpaused, it came
// up or went down.
void reconsider(Vcpu& vcpu);
// The vCPU goes away; nothing of it stays on any CPU.
void forget(Vcpu& vcpu);

// The vCPU on this CPU is asked to give way at the next chance.
[[nodiscard]] bool must_reschedule();

// Nanoseconds a CPU had nothing to run.
[[nodiscard]] u64 idle_time(u32 cpu);

} // namespace vmm::scheduler
