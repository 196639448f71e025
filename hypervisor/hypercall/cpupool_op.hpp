// SPDX-License-Identifier: Apache-2.0
//
// XEN_SYSCTL_cpupool_op: CPUs apart from others, and the domains that run on them. What the books say
// (sched/cpu_pools.hpp) is applied to CPUs and domains here. A domain moves between any two pools, stopped
// for that moment.
// [xen/include/public/sysctl.h]
#pragma once

#include "base/expected.hpp"
#include "sched/sched_kind.hpp"

#include <xen/sysctl.h>

namespace vmm
{

class Domain;
class Vcpu;

Expected<void> do_cpupool_op(Vcpu& caller, xen_sysctl_cpupool_op& op);

// A domain none of whose vCPUs a policy has begins in a pool that can take it.
Expected<void> can_begin_in(u32 pool);
void begin_in_pool(Domain& domain, u32 pool);

// Esrch: there is no such pool.
Expected<Sched_kind> kind_of_pool(u32 id);

// Whether domains would have no CPU without this one.
[[nodiscard]] bool is_needed_by_its_pool(u32 cpu);

// XEN_SCHEDULER_*. The fair policy is told as Xen's default: its domains have weights and caps, of the same
// ranges.
u32 scheduler_id(Sched_kind kind);

} // namespace vmm
