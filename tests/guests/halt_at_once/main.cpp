// SPDX-License-Identifier: Apache-2.0
//
// STI and HLT are one: an interrupt that comes between them ends the HLT.
//
// A timer is set for every instant around these two instructions, one after another, which is exact under
// -icount. Were its interrupt delivered after STI, the HLT would wait for the next one, which is the local
// APIC's timer here, much later. QEMU's AMD-V does not keep what STI promises over an exit and the entry
// after it.
#include "guest/apic.hpp"
#include "guest/clock.hpp"
#include "guest/cpu.hpp"
#include "guest/events.hpp"
#include "guest/interrupts.hpp"
#include "lib/timer_event.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "halt_at_once";

namespace
{

constexpr u8 kLateVector   = 0x91;
constexpr u64 kFarAway     = 5'000'000; // ns
constexpr u64 kAround      = 400;       // instants, about half of them before STI
volatile unsigned in_time  = 0;
volatile unsigned too_late = 0;

void on_timer(evtchn_port_t) { in_time = in_time + 1; }

void on_late_timer(Interrupt_frame&)
{
    too_late = too_late + 1;
    apic::end_of_interrupt();
}

// From setting a timer, for `ahead` from now, to what comes before STI; how long that took.
u64 set_timer_and_wait(u64 ahead)
{
    const u64 began = system_time();
    if (set_timer(began + ahead) != 0)
        return 0;
    for (unsigned i = 0; i < 1000; ++i)
        asm volatile("");
    return system_time() - began;
}

} // namespace

void test_main()
{
    listen_to_timer(on_timer);
    apic::start();
    set_handler(kLateVector, on_late_timer);
    wrmsr(apic::timer_divide, 0xb); // by 1
    wrmsr(apic::lvt_timer, kLateVector);

    cli();
    set_timer_and_wait(kFarAway);
    const u64 usual = set_timer_and_wait(kFarAway);
    NEED(usual > kAround);
    for (u64 i = 0; i < kAround; ++i) {
        const unsigned before = in_time;
        wrmsr(apic::timer_initial, static_cast<u32>(kFarAway));
        set_timer_and_wait(usual - kAround / 2 + i);
        while (in_time == before)
            asm volatile("sti; hlt; cli" : : : "memory");
        wrmsr(apic::timer_initial, 0);
        if (too_late != 0)
            break;
    }
    CHECK_EQUAL(too_late, 0);
}
