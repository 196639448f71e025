// SPDX-License-Identifier: Apache-2.0
//
// Physical CPUs taken offline and back, for power or because one is not trusted any more: XENPF_cpu_offline,
// _online of dom0's kernel and XEN_SYSCTL_cpu_hotplug of tools. A CPU that is offline runs no vCPU and
// sleeps; it still takes interrupts, for machine checks go to all CPUs and the devices that it served go on;
// none is added. It stays in its pool. With control_lock. [xen/include/public/sysctl.h, platform.h]
#pragma once

#include "base/expected.hpp"

#include <xen/sysctl.h>

namespace vmm
{

// Einval: no such CPU, or the one that booted, which the pins' interrupts go to. Eexist: it is so already.
// Ebusy: domains have no other CPU. What runs there leaves soon after. Erestart: it is told, and is online as
// soon as it decides again: a domain whose pool has no other would find none.
Expected<void> take_cpu_offline(u32 cpu);
Expected<void> bring_cpu_online(u32 cpu);

Expected<void> do_cpu_hotplug(const xen_sysctl_cpu_hotplug& op);

} // namespace vmm
