// SPDX-License-Identifier: Apache-2.0
//
// A guest that never gives the CPU back does not keep it.
//
// The child spins with interrupts off, counting. dom0 spins too: over a second both get between a quarter
// and three quarters of the CPU, as their runstates and the child's CPU time tell. A timer of dom0's arrives
// although the child runs, and the counter moves on while dom0 waits. Paused, the child stands still; after
// unpausing it goes on.
#include "guest/clock.hpp"
#include "guest/cpu.hpp"
#include "guest/events.hpp"
#include "guest/hypercall.hpp"
#include "lib/child.hpp"
#include "lib/timer_event.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "fairness";

namespace
{

constexpr u64 kSecond = 1'000'000'000;

volatile u32 fired = 0;
void on_timer(evtchn_port_t) { fired = fired + 1; }

u64 cpu_time(Child& child)
{
    xen_domctl_getdomaininfo info{};
    NEED(child.info(info) == 0);
    return info.cpu_time;
}

} // namespace

void child_main()
{
    cli();
    for (;;)
        my_mailbox().values[0] = my_mailbox().values[0] + 1;
}

void test_main()
{
    listen_to_timer(on_timer);
    Child child;
    NEED(child.build());
    NEED(child.unpause() == 0);

    const u64 used_before = cpu_time(child);
    const u64 start       = system_time();
    spin(kSecond);
    const u64 share = (cpu_time(child) - used_before) * 100 / (system_time() - start);
    print("the spinning child got ", share, " % of a second");
    CHECK(share >= 25 && share <= 75);

    const s64 counted = child.mailbox().values[0];
    const u64 when    = system_time() + 50'000'000;
    NEED(set_timer(when) == 0);
    events::wait_until([] { return fired != 0; });
    CHECK(system_time() >= when);
    CHECK(child.mailbox().values[0] > counted);

    CHECK_EQUAL(child.control(XEN_DOMCTL_pausedomain), 0);
    const s64 standing = child.mailbox().values[0];
    spin(100'000'000);
    CHECK_EQUAL(child.mailbox().values[0], standing);
    CHECK_EQUAL(child.control(XEN_DOMCTL_unpausedomain), 0);
    spin(200'000'000);
    CHECK(child.mailbox().values[0] > standing);
    child.destroy();
}
