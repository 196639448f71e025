// SPDX-License-Identifier: Apache-2.0
//
// Time as the hypervisor gives it: nanoseconds of system time from the TSC and the vcpu_time_info beside
// it, the wall clock of the shared page, and one-shot timers. [xen/include/public/xen.h]
#pragma once

#include "guest/types.hpp"

#include <xen/xen.h>

namespace vmm::guest
{

// A consistent reading: retried while the hypervisor changes the parameters.
[[nodiscard]] u64 system_time();
// The same by the parameters of another vCPU than the first.
[[nodiscard]] u64 system_time(vcpu_info& of);
// Nanoseconds since 1970.
[[nodiscard]] u64 wall_clock();
// VIRQ_TIMER at that system time. With `only_future`, -ETIME when it has passed.
s64 set_timer(u64 when, bool only_future = false);
void spin(u64 ns);

} // namespace vmm::guest
