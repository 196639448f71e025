// SPDX-License-Identifier: Apache-2.0
//
// The scheduler as the control interface numbers them. The fair policy is told as Xen's default: its domains
// have weights and caps, of the same ranges. [xen/include/public/domctl.h, XEN_SCHEDULER_*]
#pragma once

#include "sched/scheduler.hpp"

#include <xen/domctl.h>

namespace vmm
{

inline u32 scheduler_id()
{
    return scheduler::kind() == Sched_kind::unshared ? XEN_SCHEDULER_NULL : XEN_SCHEDULER_CREDIT2;
}

} // namespace vmm
