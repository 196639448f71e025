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

} // namespace vmm
