// SPDX-License-Identifier: Apache-2.0
//
// A halted guest uses no CPU.
//
// By its own runstate: over a wait of 100 ms in HLT at least nine tenths are blocked time. By the other
// side: a child that halts for good is charged next to nothing over 200 ms, and dom0's spinning gets the
// whole CPU meanwhile. HLT with interrupts off and nothing that could wake the vCPU again is how a kernel
// without a power button stops: the child's domain is shut down by it. So it is by VCPUOP_down of the last
// vCPU.
#include "guest/clock.hpp"
#include "guest/cpu.hpp"
#include "guest/events.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/child.hpp"
#include "lib/timer_event.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "hlt_idles";

namespace
{

constexpr u64 kMillisecond = 1'000'000;
constexpr u32 kGoDown      = 2;

void on_timer(evtchn_port_t) {}

vcpu_runstate_info runstate()
{
    vcpu_runstate_info info{};
    NEED(vcpu_op(VCPUOP_get_runstate_info, 0, &info) == 0);
    return info;
}

// Blocked for nine tenths of a wait.
bool halts_idly()
{
    const vcpu_runstate_info before = runstate();
    const u64 start                 = system_time();
    NEED(set_timer(start + 100 * kMillisecond) == 0);
    events::wait_until([&] { return system_time() >= start + 100 * kMillisecond; });
    const vcpu_runstate_info after = runstate();
    const u64 blocked              = after.time[RUNSTATE_blocked] - before.time[RUNSTATE_blocked];
    const u64 elapsed              = system_time() - start;
    print("blocked for ", blocked, " of ", elapsed, " ns");
    return blocked >= elapsed / 10 * 9;
}

// A busy machine underneath may stop the guest anywhere, but not every time before it halts.
void check_own_halt()
{
    for (unsigned attempt = 0; attempt < 5; ++attempt) {
        if (halts_idly())
            return;
    }
    NOTE(failure, "never blocked for most of a wait");
}

u64 cpu_time(Child& child)
{
    xen_domctl_getdomaininfo info{};
    NEED(child.info(info) == 0);
    return info.cpu_time;
}

} // namespace

void child_main()
{
    Mailbox& box = my_mailbox();
    if (map_shared_info() != 0 || set_event_vector() != 0)
        return;
    events::install();
    events::unmask(box.port_of_child);
    box.stage = 1;
    if (box.order == kGoDown)
        vcpu_op(VCPUOP_down, 0, nullptr);
    while (box.order == 0)
        sti_hlt();
    cli();
    box.stage = 2;
    asm volatile("hlt");
    box.stage = 3;
}

void test_main()
{
    listen_to_timer(on_timer);
    check_own_halt();

    Child child;
    NEED(child.build());
    const s64 port = events::bind_interdomain(child.id(), child.mailbox().port_of_child);
    NEED(port > 0);
    NEED(child.unpause() == 0);
    NEED(child.wait_for_stage(1));
    spin(50 * kMillisecond);
    const u64 before = cpu_time(child);
    spin(200 * kMillisecond);
    CHECK(cpu_time(child) - before < 20 * kMillisecond);

    child.mailbox().order = 1;
    CHECK_EQUAL(events::send(static_cast<evtchn_port_t>(port)), 0);
    CHECK(child.wait_for_stage(2));
    xen_domctl_getdomaininfo info{};
    const u64 deadline = system_time() + 1000 * kMillisecond;
    do {
        sched_op(SCHEDOP_yield, nullptr);
        NEED(child.info(info) == 0);
    } while (!(info.flags & XEN_DOMINF_shutdown) && system_time() < deadline);
    CHECK(info.flags & XEN_DOMINF_shutdown);
    CHECK_EQUAL(info.flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask, SHUTDOWN_poweroff);
    CHECK_EQUAL(child.mailbox().stage, 2);
    child.destroy();

    Child down;
    NEED(down.build());
    down.mailbox().order = kGoDown;
    NEED(down.unpause() == 0);
    CHECK_EQUAL(down.wait_for_end(), SHUTDOWN_poweroff);
    down.destroy();
}
