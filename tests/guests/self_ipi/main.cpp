// SPDX-License-Identifier: Apache-2.0
//
// Interrupts a vCPU sends itself: by SELF_IPI, by the ICR with the shorthand, and by the ICR with its id.
// [SDM3 11.6, 11.8, 11.12.11]
//
// A vector sent while interrupts are off is requested (IRR) and arrives when they are let in; then it is in
// service (ISR) until EOI. A second one of the same vector meanwhile is kept, a third is merged into it. A
// higher class interrupts a lower one's handler, a lower one waits for EOI. What the task priority holds
// back waits for the task priority. NMI by ICR arrives at vector 2; in its handler further ones wait for the
// IRET, as one. An ICR with a vector below 16 is an error the ESR tells of.
#include "guest/apic.hpp"
#include "guest/cpu.hpp"
#include "guest/interrupts.hpp"
#include "guest/platform.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;

const char* const kTestName = "self_ipi";

namespace
{

constexpr u8 kLow            = 0x41;
constexpr u8 kHigh           = 0x91;
constexpr u64 kShorthandSelf = 1u << 18;
constexpr u64 kNmi           = 4u << 8;

bool requested(u8 vector) { return rdmsr(apic::irr0 + vector / 32) >> (vector % 32) & 1; }
bool in_service(u8 vector) { return rdmsr(apic::isr0 + vector / 32) >> (vector % 32) & 1; }

void acknowledge(Interrupt_frame& frame)
{
    if (!in_service(static_cast<u8>(frame.vector)) || requested(static_cast<u8>(frame.vector)))
        NOTE(failure, "vector ", frame.vector, " is not in service in its handler");
    apic::end_of_interrupt();
}

// While the low one is in service: the high one comes at once, another low one only after EOI.
u64 high_inside = 0;
u64 low_inside  = 0;
void nested(Interrupt_frame&)
{
    set_handler(kLow, acknowledge);
    const u64 low_before  = interrupt_count(kLow);
    const u64 high_before = interrupt_count(kHigh);
    apic::send_to_self(kLow);
    apic::send_to_self(kHigh);
    breathe();
    high_inside = interrupt_count(kHigh) - high_before;
    low_inside  = interrupt_count(kLow) - low_before;
    apic::end_of_interrupt();
}

void arrives(u8 vector, u32 msr, u64 command)
{
    const u64 before = interrupt_count(vector);
    wrmsr(msr, command);
    CHECK(requested(vector));
    CHECK_EQUAL(interrupt_count(vector), before);
    wrmsr(msr, command);
    breathe();
    CHECK_EQUAL(interrupt_count(vector), before + 1);
    CHECK(!requested(vector) && !in_service(vector));
}

void send_nmi() { wrmsr(apic::icr, rdmsr(apic::id) << 32 | kNmi); }

void nmi_arrived(Interrupt_frame&) {}

u64 nmis_inside = 0;
void nmi_sends_two(Interrupt_frame&)
{
    set_handler(2, nmi_arrived);
    const u64 before = interrupt_count(2);
    send_nmi();
    send_nmi();
    rdmsr(apic::id);
    nmis_inside = interrupt_count(2) - before;
}

} // namespace

void test_main()
{
    apic::start();
    set_handler(kLow, acknowledge);
    set_handler(kHigh, acknowledge);
    set_handler(2, nmi_arrived);

    const u64 own_id = rdmsr(apic::id);
    arrives(kLow, apic::self_ipi, kLow);
    arrives(kHigh, apic::icr, kShorthandSelf | kHigh);
    arrives(kLow, apic::icr, own_id << 32 | kLow);

    set_handler(kLow, nested);
    u64 before = interrupt_count(kLow);
    apic::send_to_self(kLow);
    breathe();
    breathe();
    CHECK_EQUAL(high_inside, 1);
    CHECK_EQUAL(low_inside, 0);
    CHECK_EQUAL(interrupt_count(kLow), before + 2);

    before = interrupt_count(kLow);
    wrmsr(apic::tpr, 0x80);
    apic::send_to_self(kLow);
    breathe();
    CHECK_EQUAL(interrupt_count(kLow), before);
    const u64 high_before = interrupt_count(kHigh);
    apic::send_to_self(kHigh);
    breathe();
    CHECK_EQUAL(interrupt_count(kHigh), high_before + 1);
    wrmsr(apic::tpr, 0); // not by MOV CR8: QEMU 7.2 ends there while an interrupt is held back
    breathe();
    CHECK_EQUAL(interrupt_count(kLow), before + 1);

    before = interrupt_count(2);
    send_nmi();
    CHECK_EQUAL(interrupt_count(2), before + 1);

    for (const bool interrupts_on : {false, true}) {
        set_handler(2, nmi_sends_two);
        before = interrupt_count(2);
        if (interrupts_on)
            sti();
        send_nmi();
        if (!interrupts_on)
            rdmsr(apic::id); // it may come as late as this
        cli();
        CHECK_EQUAL(nmis_inside, 0);
        CHECK_EQUAL(interrupt_count(2), before + 2);
        send_nmi();
        CHECK_EQUAL(interrupt_count(2), before + 3);
    }

    wrmsr(apic::esr, 0);
    wrmsr(apic::icr, kShorthandSelf | 5);
    wrmsr(apic::esr, 0);
    CHECK_EQUAL(rdmsr(apic::esr), 0x20);
    breathe();
    CHECK_EQUAL(interrupt_count(5), 0);
}
