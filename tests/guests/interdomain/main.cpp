// SPDX-License-Identifier: Apache-2.0
//
// Events between two domains that run by turns.
//
// dom0 allocated a port on the child's behalf, as a toolstack does; it binds to it and from then on the two
// play ping-pong: each halts until its event comes and answers it. A thousand rounds come out even. While
// one end is masked nothing is lost. The child cannot bind a port meant for another domain, dom0 can ask
// for the status of the child's ports and the child cannot ask for dom0's. When the child is destroyed, the
// port here falls back to unbound, sending to it is silent, and VIRQ_DOM_EXC told of the child's end.
#include "guest/clock.hpp"
#include "guest/cpu.hpp"
#include "guest/events.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/child.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "interdomain";

namespace
{

constexpr u32 kRounds = 1000;

volatile u32 received = 0;
volatile u32 deaths   = 0;
void count(evtchn_port_t) { received = received + 1; }
void count_death(evtchn_port_t) { deaths = deaths + 1; }

evtchn_status status_of(domid_t domain, evtchn_port_t port, s64& answer)
{
    evtchn_status status{};
    status.dom  = domain;
    status.port = port;
    answer      = event_op(EVTCHNOP_status, &status);
    return status;
}

void play(Child& child, evtchn_port_t port)
{
    for (u32 round = 1; round <= kRounds; ++round) {
        CHECK_EQUAL(events::send(port), 0);
        events::wait_until([&] { return received >= round; });
    }
    CHECK_EQUAL(received, kRounds);
    CHECK_EQUAL(child.mailbox().values[0], kRounds);
}

} // namespace

void child_main()
{
    Mailbox& box = my_mailbox();
    if (map_shared_info() != 0 || set_event_vector() != 0)
        return;
    events::install();
    evtchn_status status{};
    status.dom    = 0;
    status.port   = 1;
    box.values[1] = event_op(EVTCHNOP_status, &status);
    box.values[2] = events::bind_interdomain(0, static_cast<evtchn_port_t>(box.values[3]));
    box.values[4] = events::alloc_unbound_for(0, box.child);
    evtchn_reset reset{.dom = 0};
    box.values[5] = event_op(EVTCHNOP_reset, &reset);
    events::listen(box.port_of_child, count);
    box.stage = 1;
    for (u32 answered = 0;;) {
        events::wait_until([&] { return received > answered; });
        ++answered;
        box.values[0] = answered;
        events::send(box.port_of_child);
    }
}

void test_main()
{
    NEED(map_shared_info() == 0);
    NEED(set_event_vector() == 0);
    events::install();
    const s64 death = events::bind_virq(VIRQ_DOM_EXC);
    NEED(death > 0);
    events::listen(static_cast<evtchn_port_t>(death), count_death);
    const s64 for_nobody = events::alloc_unbound(0x1234);
    NEED(for_nobody > 0);

    Child child;
    NEED(child.build());
    child.mailbox().values[3] = for_nobody;
    const s64 bound           = events::bind_interdomain(child.id(), child.mailbox().port_of_child);
    NEED(bound > 0);
    const auto port = static_cast<evtchn_port_t>(bound);
    NEED(child.unpause() == 0);
    NEED(child.wait_for_stage(1));
    CHECK_EQUAL(child.mailbox().values[1], -XEN_EPERM);
    CHECK_EQUAL(child.mailbox().values[2], -XEN_EINVAL);
    CHECK_EQUAL(child.mailbox().values[4], -XEN_EPERM);
    CHECK_EQUAL(child.mailbox().values[5], -XEN_EPERM);

    s64 answer           = 0;
    evtchn_status status = status_of(child.id(), child.mailbox().port_of_child, answer);
    CHECK_EQUAL(answer, 0);
    CHECK_EQUAL(status.status, EVTCHNSTAT_interdomain);
    CHECK_EQUAL(status.u.interdomain.dom, 0);
    CHECK_EQUAL(status.u.interdomain.port, port);

    events::clear(port);
    events::listen(port, count);
    // Binding raised the child's end or not: the first answer may come unasked.
    const u64 settle = system_time() + 20'000'000;
    while (system_time() < settle) {
        breathe();
        sched_op(SCHEDOP_yield, nullptr);
    }
    received                  = 0;
    child.mailbox().values[0] = 0;
    play(child, port);

    child.destroy();
    status = status_of(DOMID_SELF, port, answer);
    CHECK_EQUAL(status.status, EVTCHNSTAT_unbound);
    CHECK_EQUAL(status.u.unbound.dom, child.id());
    CHECK_EQUAL(events::send(port), 0);
    const u64 deadline = system_time() + 2'000'000'000;
    while (deaths == 0 && system_time() < deadline)
        breathe();
    CHECK(deaths > 0);
}
