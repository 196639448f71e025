// SPDX-License-Identifier: Apache-2.0
//
// CPU pools on a machine with one CPU, which pool 0 keeps because this domain is in it.
//
// Each operation answers what the public header promises: a pool that is there already or not at all, a CPU
// that is not free, not in the pool, or not there, a pool whose last CPU has domains to run. Pools can be
// told one by one, and of each with weights how long a vCPU keeps its CPU at least, which cannot be set. A
// pool without CPUs takes no domains, neither new ones nor ones that move there.
// [xen/include/public/sysctl.h, XEN_SYSCTL_cpupool_op]
#include "guest/clock.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/child.hpp"
#include "lib/pools.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "cpu_pools";

namespace
{

constexpr u64 kMs = 1'000'000;

s64 parameters(u32 command, u32 pool, u32& turn_us)
{
    static xen_sysctl op;
    op                   = {};
    op.cmd               = XEN_SYSCTL_scheduler_op;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    auto& scheduler      = op.u.scheduler_op;
    scheduler.cpupool_id = pool;
    scheduler.sched_id   = XEN_SCHEDULER_CREDIT2;
    scheduler.cmd        = command;

    scheduler.u.sched_credit2.ratelimit_us = turn_us;
    const s64 result                       = hypercall(__HYPERVISOR_sysctl, gpa_of(&op));
    turn_us                                = scheduler.u.sched_credit2.ratelimit_us;
    return result;
}

void check_parameters(u32 pool)
{
    u32 turn_us = 0;
    CHECK_EQUAL(parameters(XEN_SYSCTL_SCHEDOP_getinfo, pool, turn_us), 0);
    CHECK(turn_us > 0 && turn_us < 10'000);
    CHECK_EQUAL(parameters(XEN_SYSCTL_SCHEDOP_putinfo, pool, turn_us), 0);
    CHECK_EQUAL(parameters(XEN_SYSCTL_SCHEDOP_putinfo, pool, ++turn_us), -XEN_EINVAL);
}

void check_books()
{
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_INFO, 0), 0);
    CHECK_EQUAL(last.op.sched_id, XEN_SCHEDULER_CREDIT2);
    CHECK_EQUAL(last.op.n_dom, 1);
    CHECK_EQUAL(last.cpus, 1);
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_INFO, 1), -XEN_ENOENT);
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_FREEINFO, 0), 0);
    CHECK_EQUAL(last.cpus, 0);
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_CREATE, 0), -XEN_EEXIST);
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_CREATE, kAny), 0);
    const u32 made = last.op.cpupool_id;
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_INFO, 1), 0);
    CHECK_EQUAL(last.op.cpupool_id, made);
    CHECK_EQUAL(last.op.n_dom, 0);
    CHECK_EQUAL(last.cpus, 0);
    check_parameters(0);
    check_parameters(made);
    u32 turn_us = 0;
    CHECK_EQUAL(parameters(XEN_SYSCTL_SCHEDOP_getinfo, 77, turn_us), -XEN_ESRCH);
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, made, 0), -XEN_ENODEV);
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, made, 63), -XEN_EINVAL);
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_RMCPU, made, 0), -XEN_ENODEV);
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_RMCPU, 0, 0), -XEN_EBUSY);
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, 77, 0), -XEN_ENOENT);
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_DESTROY, made), 0);
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_DESTROY, made), -XEN_ENOENT);
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_DESTROY, 0), -XEN_EBUSY);
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_CREATE, kAny, 0, 0, 77), -XEN_EINVAL);
}

s64 create_in(u32 pool)
{
    xen_domctl op{};
    op.u.createdomain            = child_config();
    op.u.createdomain.cpupool_id = pool;
    return domctl(op, XEN_DOMCTL_createdomain, 0);
}

void check_domains(u32 scheduler)
{
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_CREATE, 3, 0, 0, scheduler), 0);
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_INFO, 3), 0);
    CHECK_EQUAL(last.op.sched_id, scheduler);
    u32 turn_us = 0;
    CHECK_EQUAL(parameters(XEN_SYSCTL_SCHEDOP_getinfo, 3, turn_us),
                scheduler == XEN_SCHEDULER_NULL ? -XEN_EINVAL : 0);
    CHECK_EQUAL(create_in(4), -XEN_ENOENT);
    CHECK_EQUAL(create_in(3), -XEN_ENODEV);

    Child child;
    NEED(child.build());
    NEED(child.unpause() == 0);
    CHECK_EQUAL(pool_of(child.id()), 0);
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_INFO, 0), 0);
    CHECK_EQUAL(last.op.n_dom, 2);
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, 4, 0, child.id()), -XEN_ENOENT);
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, 3, 0, child.id()), -XEN_ENOENT);
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, 0, 0, child.id()), 0);
    CHECK(pool_op(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, 0, 0, 0) < 0); // nobody moves itself
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, 0, 0, 0x7000), -XEN_ESRCH);
    const s64 counted = child.mailbox().values[0];
    spin(200 * kMs);
    CHECK(child.mailbox().values[0] > counted);
    child.destroy();
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_DESTROY, 3), 0);
}

} // namespace

void child_main()
{
    for (;;)
        my_mailbox().values[0] = my_mailbox().values[0] + 1;
}

void test_main()
{
    NEED(map_shared_info() == 0);
    check_books();
    check_domains(XEN_SCHEDULER_CREDIT2);
    check_domains(XEN_SCHEDULER_NULL);
    check_books();
}
