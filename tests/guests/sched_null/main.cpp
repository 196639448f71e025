// SPDX-License-Identifier: Apache-2.0
//
// With sched=null a vCPU has a CPU to itself, and one that finds none waits.
//
// The tools are told which scheduler there is, and that it has no weights. This domain has the machine's one
// CPU: a child that is let run waits for one, not asleep and not running, for as long as it is there, and
// this domain's second of work takes a second. The child can be paused, let run again and destroyed while it
// waits.
#include "guest/clock.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/child.hpp"
#include "lib/verdict.hpp"

#include <xen/sysctl.h>
#include <xen/vcpu.h>

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "sched_null";

namespace
{

constexpr u64 kMs = 1'000'000;

u32 scheduler()
{
    xen_sysctl op{};
    op.cmd               = XEN_SYSCTL_sched_id;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    NEED(hypercall(__HYPERVISOR_sysctl, gpa_of(&op)) == 0);
    return op.u.sched_id.sched_id;
}

void check_waiting(Child& child)
{
    xen_domctl op{};
    NEED(domctl(op, XEN_DOMCTL_getvcpuinfo, child.id()) == 0);
    CHECK_EQUAL(op.u.getvcpuinfo.online, 1);
    CHECK_EQUAL(op.u.getvcpuinfo.running, 0);
    CHECK_EQUAL(op.u.getvcpuinfo.blocked, 0);
    CHECK_EQUAL(op.u.getvcpuinfo.cpu_time, 0);
    CHECK_EQUAL(child.mailbox().values[0], 0);
}

u64 stolen()
{
    vcpu_runstate_info state{};
    NEED(hypercall(__HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info, 0, gpa_of(&state)) == 0);
    return state.time[RUNSTATE_runnable];
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
    CHECK_EQUAL(scheduler(), XEN_SCHEDULER_NULL);
    xen_domctl op{};
    op.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
    op.u.scheduler_op.cmd      = XEN_DOMCTL_SCHEDOP_getinfo;
    CHECK(domctl(op, XEN_DOMCTL_scheduler_op, 0) < 0);

    const u64 stolen_before = stolen();
    for (int round = 0; round < 2; ++round) {
        Child child;
        NEED(child.build());
        NEED(child.unpause() == 0);
        spin(100 * kMs);
        check_waiting(child);
        CHECK_EQUAL(child.control(XEN_DOMCTL_pausedomain), 0);
        CHECK_EQUAL(child.control(XEN_DOMCTL_unpausedomain), 0);
        spin(50 * kMs);
        check_waiting(child);
        child.destroy();
    }
    CHECK(stolen() - stolen_before < kMs);
}
