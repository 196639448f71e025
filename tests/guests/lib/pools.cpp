// SPDX-License-Identifier: Apache-2.0
#include "lib/pools.hpp"

#include "guest/hypercall.hpp"
#include "lib/child.hpp"
#include "lib/verdict.hpp"

namespace vmm::guest_test
{

using namespace vmm::guest;

constinit Pool_answer last{};

s64 pool_op(u32 command, u32 pool, u32 cpu, u32 domid, u32 scheduler)
{
    static xen_sysctl op;
    op                   = {};
    op.cmd               = XEN_SYSCTL_cpupool_op;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    auto& pools          = op.u.cpupool_op;
    pools.op             = command;
    pools.cpupool_id     = pool;
    pools.cpu            = cpu;
    pools.domid          = domid;
    pools.sched_id       = scheduler;
    pools.cpumap.nr_bits = 64;
    set_xen_guest_handle_raw(pools.cpumap.bitmap, reinterpret_cast<u8*>(&last.cpus));
    const s64 result = hypercall(__HYPERVISOR_sysctl, gpa_of(&op));
    last.op          = pools;
    return result;
}

u32 pool_of(domid_t id)
{
    xen_domctl op{};
    NEED(domctl(op, XEN_DOMCTL_getdomaininfo, id) == 0);
    return op.u.getdomaininfo.cpupool;
}

} // namespace vmm::guest_test
