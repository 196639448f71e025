// SPDX-License-Identifier: Apache-2.0
//
// Event channels of the two-level form within one guest, down to the interrupt.
//
// The guest puts the shared page somewhere, says that events come at a vector (HVM_PARAM_CALLBACK_IRQ,
// type 2), binds a port to an interprocessor event for its only vCPU and sends to it. The vector arrives
// as soon as interrupts are enabled, once for however many sends came before; the pending bit, the
// selector bit and the upcall flag are as the ABI says; the hypervisor clears none of them.
//
// A masked port becomes pending without an interrupt and arrives when it is unmasked by EVTCHNOP_unmask. A
// flag set while interrupts are off waits. Two ports in one word, and two words, are both found. A channel
// bound to the guest itself works in both directions, a closed port refuses, binding raises once. The
// interrupt is not the APIC's: it has no request and no in-service bit and needs no EOI, so it can be
// delivered again right after IRET.
#include "guest/apic.hpp"
#include "guest/cpu.hpp"
#include "guest/events.hpp"
#include "guest/hypercall.hpp"
#include "guest/interrupts.hpp"
#include "guest/platform.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;

const char* const kTestName = "event_delivery";

namespace
{

u32 calls[4096];
void count(evtchn_port_t port) { calls[port] = calls[port] + 1; }

evtchn_port_t new_ipi()
{
    const s64 port = events::bind_ipi(0);
    NEED(port > 0);
    return static_cast<evtchn_port_t>(port);
}

void check_bits(evtchn_port_t port)
{
    CHECK_EQUAL(events::send(port), 0);
    CHECK(events::pending(port));
    CHECK(my_vcpu_info().evtchn_pending_sel & 1ull << port / 64);
    CHECK_EQUAL(my_vcpu_info().evtchn_upcall_pending, 1);
    CHECK_EQUAL(calls[port], 0);
    CHECK_EQUAL(events::send(port), 0);
    breathe();
    CHECK_EQUAL(calls[port], 1);
    CHECK_EQUAL(rdmsr(apic::isr0 + kEventVector / 32), 0);
}

void check_mask(evtchn_port_t port)
{
    calls[port] = 0;
    events::mask(port);
    CHECK_EQUAL(events::send(port), 0);
    breathe();
    CHECK_EQUAL(calls[port], 0);
    CHECK(events::pending(port));
    events::unmask(port);
    breathe();
    CHECK_EQUAL(calls[port], 1);
}

void check_self_channel()
{
    const s64 far = events::alloc_unbound(DOMID_SELF);
    NEED(far > 0);
    const s64 near = events::bind_interdomain(DOMID_SELF, static_cast<evtchn_port_t>(far));
    NEED(near > 0);
    const auto a = static_cast<evtchn_port_t>(far);
    const auto b = static_cast<evtchn_port_t>(near);
    CHECK(events::pending(b)); // binding raises the new end once
    calls[a] = calls[b] = 0;
    events::listen(a, count);
    events::listen(b, count);
    breathe();
    CHECK_EQUAL(calls[b], 1);
    CHECK_EQUAL(events::send(a), 0);
    CHECK_EQUAL(events::send(b), 0);
    breathe();
    CHECK_EQUAL(calls[a], 1);
    CHECK_EQUAL(calls[b], 2);

    CHECK_EQUAL(events::close(a), 0);
    CHECK_EQUAL(events::send(a), -XEN_EINVAL);
    CHECK_EQUAL(events::send(b), 0); // waits for a partner again
    CHECK_EQUAL(events::close(a), -XEN_EINVAL);
    CHECK_EQUAL(events::close(b), 0);
}

void check_many()
{
    constexpr u32 kMany = 150; // three words
    evtchn_port_t ports[kMany];
    for (evtchn_port_t& port : ports) {
        port        = new_ipi();
        calls[port] = 0;
        events::listen(port, count);
    }
    for (const evtchn_port_t port : ports)
        CHECK_EQUAL(events::send(port), 0);
    breathe();
    for (const evtchn_port_t port : ports)
        CHECK_EQUAL(calls[port], 1);
    for (const evtchn_port_t port : ports)
        CHECK_EQUAL(events::close(port), 0);
}

void check_refusals()
{
    CHECK_EQUAL(events::send(0), -XEN_EINVAL);
    CHECK_EQUAL(events::send(4000), -XEN_EINVAL);
    CHECK_EQUAL(events::send(1u << 31), -XEN_EINVAL);
    CHECK_EQUAL(events::bind_ipi(7), -XEN_ENOENT);
    CHECK_EQUAL(events::bind_virq(NR_VIRQS), -XEN_EINVAL);
    CHECK_EQUAL(events::bind_virq(VIRQ_TIMER, 7), -XEN_ENOENT);
    CHECK_EQUAL(events::bind_virq(VIRQ_CONSOLE, 1), -XEN_EINVAL);
    CHECK_EQUAL(events::bind_interdomain(DOMID_SELF, 4000), -XEN_EINVAL);
    CHECK_EQUAL(events::bind_interdomain(0x7000, 1), -XEN_ESRCH);
    const s64 virq = events::bind_virq(VIRQ_DEBUG);
    CHECK(virq > 0);
    CHECK_EQUAL(events::bind_virq(VIRQ_DEBUG), -XEN_EEXIST);
    CHECK_EQUAL(events::send(static_cast<evtchn_port_t>(virq)), -XEN_EINVAL);
    CHECK_EQUAL(events::close(static_cast<evtchn_port_t>(virq)), 0);
    CHECK_EQUAL(hypercall(__HYPERVISOR_event_channel_op, 99, 0), -XEN_ENOSYS);
}

} // namespace

void test_main()
{
    NEED(map_shared_info() == 0);
    NEED(set_event_vector() == 0);
    apic::start();
    events::install();

    const evtchn_port_t port = new_ipi();
    events::listen(port, count);
    check_bits(port);
    const u64 before = interrupt_count(kEventVector);
    CHECK_EQUAL(events::send(port), 0);
    breathe();
    CHECK_EQUAL(interrupt_count(kEventVector), before + 1);
    check_mask(port);
    check_self_channel();
    check_many();
    check_refusals();
}
