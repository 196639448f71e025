// SPDX-License-Identifier: Apache-2.0
//
// Waiting without interrupts: SCHEDOP_poll and SCHEDOP_block. [xen/include/public/sched.h]
//
// Poll returns at once when one of its ports is pending, masked or not; otherwise when an event arrives on
// one, or when its timeout has passed, never much before. Interrupts stay off all the while. Ports that
// cannot exist, and more than 128 of them, are -EINVAL. Block lets interrupts in and returns when one came,
// not when the timeout of an earlier poll passes, which its port or an interrupt ended. Yield returns.
#include "guest/apic.hpp"
#include "guest/clock.hpp"
#include "guest/cpu.hpp"
#include "guest/events.hpp"
#include "guest/hypercall.hpp"
#include "guest/interrupts.hpp"
#include "guest/platform.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;

const char* const kTestName = "poll";

namespace
{

constexpr u64 kMillisecond    = 1'000'000;
constexpr u8 kApicTimerVector = 0x41;

s64 poll(evtchn_port_t* ports, u32 count, u64 timeout)
{
    sched_poll op{};
    set_xen_guest_handle(op.ports, ports);
    op.nr_ports = count;
    op.timeout  = timeout;
    return sched_op(SCHEDOP_poll, &op);
}

evtchn_port_t many[200];

void no_timer_event(evtchn_port_t timer)
{
    events::clear(timer);
    my_vcpu_info().evtchn_upcall_pending = 0;
    my_vcpu_info().evtchn_pending_sel    = 0;
}

// 5 ms in cycles of 10 ns, of which it counts every second.
void start_apic_timer()
{
    wrmsr(apic::lvt_timer, kApicTimerVector);
    wrmsr(apic::timer_divide, 0);
    wrmsr(apic::timer_initial, 250'000);
}

void apic_timer_expired(Interrupt_frame&) { apic::end_of_interrupt(); }

// After a poll of 60 ms at most, which something else ended long before. With interrupts off, so that none
// comes before the block.
void check_block_after_poll(evtchn_port_t timer, u64 start)
{
    no_timer_event(timer);
    events::unmask(timer);
    const u64 before = interrupt_count(kEventVector);
    NEED(set_timer(start + 120 * kMillisecond) == 0);
    CHECK_EQUAL(sched_op(SCHEDOP_block, nullptr), 0);
    CHECK(system_time() >= start + 120 * kMillisecond);
    breathe();
    CHECK_EQUAL(interrupt_count(kEventVector), before + 1);
    events::mask(timer);
    no_timer_event(timer);
}

void check_earlier_polls(evtchn_port_t timer)
{
    events::mask(timer);
    no_timer_event(timer);
    u64 start = system_time();
    NEED(set_timer(start + 5 * kMillisecond) == 0);
    CHECK_EQUAL(poll(&timer, 1, start + 60 * kMillisecond), 0);
    CHECK(events::pending(timer));
    check_block_after_poll(timer, start);

    apic::start();
    set_handler(kApicTimerVector, apic_timer_expired);
    start = system_time();
    start_apic_timer();
    CHECK_EQUAL(poll(&timer, 1, start + 60 * kMillisecond), 0);
    CHECK_EQUAL(interrupt_count(kApicTimerVector), 0);
    breathe();
    CHECK_EQUAL(interrupt_count(kApicTimerVector), 1);
    check_block_after_poll(timer, start);
}

} // namespace

void test_main()
{
    NEED(map_shared_info() == 0);
    NEED(set_event_vector() == 0);
    events::install();
    const s64 bound = events::bind_ipi(0);
    const s64 timed = events::bind_virq(VIRQ_TIMER);
    NEED(bound > 0 && timed > 0);
    evtchn_port_t port  = static_cast<evtchn_port_t>(bound);
    evtchn_port_t timer = static_cast<evtchn_port_t>(timed);

    // Masked, as all ports start here.
    CHECK_EQUAL(events::send(port), 0);
    u64 start = system_time();
    CHECK_EQUAL(poll(&port, 1, start + 10'000 * kMillisecond), 0);
    CHECK(system_time() < start + 5'000 * kMillisecond);
    events::clear(port);

    start = system_time();
    CHECK_EQUAL(poll(&port, 1, start + 20 * kMillisecond), 0);
    CHECK(system_time() >= start + 20 * kMillisecond);
    CHECK(!events::pending(port));

    start = system_time();
    NEED(set_timer(start + 10 * kMillisecond) == 0);
    while (!events::pending(timer) && system_time() < start + 5'000 * kMillisecond)
        CHECK_EQUAL(poll(&timer, 1, start + 5'000 * kMillisecond), 0);
    CHECK(events::pending(timer));
    CHECK(system_time() >= start + 10 * kMillisecond);
    CHECK_EQUAL(interrupt_count(kEventVector), 0);

    evtchn_port_t impossible = 1u << 20;
    CHECK_EQUAL(poll(&impossible, 1, start), -XEN_EINVAL);
    CHECK_EQUAL(poll(many, 129, start), -XEN_EINVAL);

    no_timer_event(timer);
    events::unmask(timer);
    start = system_time();
    NEED(set_timer(start + 10 * kMillisecond) == 0);
    sti();
    while (interrupt_count(kEventVector) == 0 && system_time() < start + 5'000 * kMillisecond)
        CHECK_EQUAL(sched_op(SCHEDOP_block, nullptr), 0);
    cli();
    CHECK(interrupt_count(kEventVector) > 0);
    check_earlier_polls(timer);
    CHECK_EQUAL(sched_op(SCHEDOP_yield, nullptr), 0);
    CHECK_EQUAL(hypercall(__HYPERVISOR_sched_op, 99, 0), -XEN_ENOSYS);
}
