// SPDX-License-Identifier: Apache-2.0
//
// An interrupt arrives once, and never while interrupts are off.
//
// A handler runs for long without anything the hypervisor sees, while a timer of the machine expires beneath
// it: the physical interrupt ends the guest's turn in the middle of the handler. What was already delivered
// must not come again, and what became pending meanwhile waits for the end of the handler. Each arrival
// therefore has to have interrupted code with interrupts on. QEMU's AMD-V delivers an event injected by
// EVENTINJ a second time when its own timer expires before the next exit; a kernel that is about to return to
// its user with the user's GS base already loaded does not survive that. It shows under -icount, where the
// timer expires at the same instruction in every run.
#include "guest/apic.hpp"
#include "guest/clock.hpp"
#include "guest/cpu.hpp"
#include "guest/events.hpp"
#include "guest/interrupts.hpp"
#include "lib/timer_event.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "interrupt_once";

namespace
{

constexpr u8 kVector        = 0x91;
constexpr u64 kInterruptsOn = 1u << 9;
constexpr u64 kMicrosecond  = 1000;
constexpr u64 kHandlerTakes = 2000 * kMicrosecond;

u64 arrivals      = 0;
u64 while_off     = 0;
u32 timer_arrived = 0;

void on_timer(evtchn_port_t) { timer_arrived = timer_arrived + 1; }

void long_handler(Interrupt_frame& frame)
{
    arrivals = arrivals + 1;
    if (!(frame.flags & kInterruptsOn)) {
        while_off = while_off + 1;
        return;
    }
    const u64 end = system_time() + kHandlerTakes;
    while (system_time() < end) {
    }
    apic::end_of_interrupt();
}

} // namespace

void test_main()
{
    listen_to_timer(on_timer);
    apic::start();
    set_handler(kVector, long_handler);

    u64 rounds = 0;
    for (u64 delay = 100 * kMicrosecond; delay < kHandlerTakes; delay += 190 * kMicrosecond) {
        NEED(set_timer(system_time() + delay) == 0);
        apic::send_to_self(kVector);
        breathe();
        ++rounds;
        CHECK_EQUAL(arrivals, rounds);
        CHECK_EQUAL(timer_arrived, rounds);
        CHECK_EQUAL(while_off, 0);
    }
}
