// SPDX-License-Identifier: Apache-2.0
//
// One call of the control domain's at a time: domctl, sysctl and platform_op change domains as a whole, and
// each other's results, without further locks. No other domain takes it, so that whoever has it may wait for
// another domain's vCPUs to stop.
#pragma once

#include "base/spinlock.hpp"

namespace vmm
{

inline constinit Spinlock control_lock{Lock_rank::control};

} // namespace vmm
