// SPDX-License-Identifier: Apache-2.0
//
// Which vCPU runs on which CPU: applies the policy (policy.hpp) to vCPUs and CPUs, keeps the run states,
// switches what VM entry does not switch, and idles. A vCPU wants a CPU while it is up, its domain is not
// paused and it is not blocked; whoever changes one of these tells it afterwards by reconsider().
#pragma once

#include "base/expected.hpp"
#include "platform/cpus.hpp"
#include "sched/cpu_set.hpp"
#include "sched/sched_kind.hpp"

namespace vmm
{
class Vcpu;
}

namespace vmm::scheduler
{

// By which policy CPUs and domains of the first pool go, before there are any.
void choose(Sched_kind which);
// Decides for whole cores from now on, before vCPUs are and any CPU runs some. False: no core has several
// threads, and nothing changes.
bool choose_cores();
// The CPUs that are decided for together with this one.
[[nodiscard]] Cpu_set cpus_of_unit(u32 cpu);
// How many vCPUs of a domain, by their ids, share a unit of CPUs.
[[nodiscard]] u32 vcpus_of_unit();
// From its next decision on a CPU, which no vCPU may use at the moment, follows this one. Whether it does, or
// will as soon as it is not offline any more.
bool follow(u32 cpu, Sched_kind which);
// Whether the CPU sleeps instead of running vCPUs, soon after; true when it is so already. One caller at a
// time; not the last CPU that a vCPU may use.
bool set_offline(u32 cpu, bool offline);

// Runs vCPUs on this CPU for ever.
[[noreturn]] void run_this_cpu();

// A vCPU comes, to the policy of its domain. It does not want a CPU: it is new, or its domain is stopped.
void add(Vcpu& vcpu);
// It leaves its policy, for another one (add()), its domain stopped; or for good: nothing of it stays on any
// CPU.
void remove(Vcpu& vcpu);
void forget(Vcpu& vcpu);

// The vCPU is to look at what is pending for it, which it then finds: a block ends, and on another CPU it
// leaves its guest. Any CPU.
void wake(Vcpu& vcpu);
// The vCPU, which runs, waits for an event. What may have come in between is to be looked for afterwards.
void block(Vcpu& vcpu);
void yield(Vcpu& vcpu);
// As yield(), in favour of one that the caller cannot go on without.
void yield_to(Vcpu& vcpu, Vcpu& target);

// Something changed that decides whether the vCPU wants a CPU. Any CPU.
void reconsider(Vcpu& vcpu);
// For a vCPU that does not want a CPU any more, after reconsider() by the same caller: returns when it does
// not have one, either. Not for the vCPU on this CPU, and not with a lock held that a vCPU of that domain may
// want.
void wait_until_stopped(const Vcpu& vcpu);
// Something changed that decides where it may run, or how much: affinities, or what its domain's vCPUs have
// in common (Sched_group). Any CPU.
void rearrange(Vcpu& vcpu);

// The CPU it runs on, or ran on last.
[[nodiscard]] u32 cpu_of(const Vcpu& vcpu);

// The vCPU on this CPU is asked to give way at the next chance.
[[nodiscard]] bool must_reschedule();

// Nanoseconds a CPU had nothing to run.
[[nodiscard]] u64 idle_time(u32 cpu);

} // namespace vmm::scheduler
