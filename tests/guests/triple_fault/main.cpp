// SPDX-License-Identifier: Apache-2.0
//
// A guest that faults without a handler for the fault ends itself and nobody else. [SDM3 7.15; APM2 8.2.9]
//
// The child loads an empty interrupt table and divides by zero: the CPU cannot deliver #DE, nor #DF, and
// shuts down. The hypervisor has to turn that into the end of one domain: dom0 goes on, VIRQ_DOM_EXC is
// raised, and the child's state says shut down, for the reason a reset has or for the one the toolstack set
// beforehand. The dead child can be looked into and destroyed, and its memory is free again: as much as
// before it was built.
#include "guest/clock.hpp"
#include "guest/cpu.hpp"
#include "guest/events.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/child.hpp"
#include "lib/verdict.hpp"

#include <xen/hvm/params.h>
#include <xen/sched.h>
#include <xen/sysctl.h>

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "triple_fault";

namespace
{

volatile u32 deaths = 0;
void count_death(evtchn_port_t) { deaths = deaths + 1; }

u64 free_pages()
{
    xen_sysctl op{};
    op.cmd               = XEN_SYSCTL_physinfo;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    NEED(hypercall(__HYPERVISOR_sysctl, gpa_of(&op)) == 0);
    return op.u.physinfo.free_pages + op.u.physinfo.scrub_pages;
}

// Reboot is what a triple fault means unless the toolstack says otherwise.
void one_child(u32 reason)
{
    Child child;
    NEED(child.build());
    if (reason != SHUTDOWN_reboot)
        CHECK_EQUAL(set_param(child.id(), HVM_PARAM_TRIPLE_FAULT_REASON, reason), 0);
    NEED(child.unpause() == 0);
    CHECK_EQUAL(child.wait_for_end(), reason);
    CHECK_EQUAL(child.mailbox().stage, 1); // it got as far as the fault and no further
    child.destroy();
}

} // namespace

void child_main()
{
    my_mailbox().stage = 1;
    const u64 empty[2] = {0, 0};
    asm volatile("lidt %0; div %1" : : "m"(empty), "r"(0) : "eax", "edx");
    my_mailbox().stage = 2;
}

void test_main()
{
    NEED(map_shared_info() == 0);
    NEED(set_event_vector() == 0);
    events::install();
    const s64 death = events::bind_virq(VIRQ_DOM_EXC);
    NEED(death > 0);
    events::listen(static_cast<evtchn_port_t>(death), count_death);

    one_child(SHUTDOWN_reboot); // what is allocated once for good is allocated now
    breathe();
    CHECK(deaths > 0);
    const u64 before = free_pages();
    for (const u32 reason : {SHUTDOWN_reboot, SHUTDOWN_crash, SHUTDOWN_poweroff})
        one_child(reason);
    const u64 deadline = system_time() + 2'000'000'000;
    while (free_pages() < before && system_time() < deadline)
        sched_op(SCHEDOP_yield, nullptr);
    CHECK(free_pages() >= before);
}
