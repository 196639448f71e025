// SPDX-License-Identifier: Apache-2.0
//
// The scheduling policies there are.
#pragma once

#include "base/types.hpp"

namespace vmm
{

enum class Sched_kind : u8 {
    fair,     // CPUs are shared by weight (fair_policy.hpp)
    unshared, // each vCPU has a CPU of its own (null_policy.hpp)
};

// What is given to vCPUs by one decision.
enum class Sched_granularity : u8 {
    cpu,  // each CPU by itself
    core, // the threads of a core to vCPUs of one domain (core_policy.hpp)
};

// That of the first CPU pool, for whoever does not ask for another one. Set once, at boot.
inline constinit Sched_kind default_sched_kind = Sched_kind::fair;

} // namespace vmm
