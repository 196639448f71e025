// SPDX-License-Identifier: Apache-2.0
//
// CPU pools, by the calls of a toolstack. [xen/include/public/sysctl.h, XEN_SYSCTL_cpupool_op]
#pragma once

#include "guest/types.hpp"

#include <xen/sysctl.h>

namespace vmm::guest_test
{

inline constexpr guest::u32 kAny = XEN_SYSCTL_CPUPOOL_PAR_ANY;

struct Pool_answer {
    xen_sysctl_cpupool_op op;
    guest::u64 cpus; // the bitmap
};
// Of the last call.
extern constinit Pool_answer last;

guest::s64 pool_op(guest::u32 command, guest::u32 pool, guest::u32 cpu = kAny, guest::u32 domid = 0,
                   guest::u32 scheduler = XEN_SCHEDULER_CREDIT2);

guest::u32 pool_of(domid_t id);

} // namespace vmm::guest_test
