// SPDX-License-Identifier: Apache-2.0
//
// How vCPUs come up and go down: INIT and start-up messages, VCPUOP_up, down and is_up. [SDM3 9.4,
// xen/include/public/vcpu.h]
//
// A vCPU that was never started is down and cannot be brought up by VCPUOP_up. After INIT a start-up message
// starts it at the page it names; a second one does nothing. Each has the APIC id of its number, also by
// CPUID. INIT ends whatever a vCPU does (running, halted with and without interrupts, polling) and nothing
// of it is left: its APIC is as after reset. A vCPU that goes down by VCPUOP_down goes on where it was when
// it is brought up again. While it is down its run state is offline.
#include "guest/apic.hpp"
#include "guest/clock.hpp"
#include "guest/cpu.hpp"
#include "guest/events.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "guest/processors.hpp"
#include "lib/verdict.hpp"

#include <atomic>

using namespace vmm::guest;

const char* const kTestName = "processors";

namespace
{

std::atomic<u32> reported{0}; // by vCPUs, a bit each
std::atomic<u32> starts{0};
std::atomic<u32> resumed{0};

bool is_up(u32 vcpu) { return vcpu_op(VCPUOP_is_up, vcpu, nullptr) == 1; }
bool exists(u32 vcpu) { return vcpu_op(VCPUOP_is_up, vcpu, nullptr) >= 0; }

[[noreturn]] void halt()
{
    for (;;)
        asm volatile("cli; hlt" : : : "memory");
}
[[noreturn]] void halt_with_interrupts()
{
    for (;;)
        asm volatile("sti; hlt" : : : "memory");
}

void report()
{
    const u32 id = this_processor();
    CHECK_EQUAL(cpuid(1).ebx >> 24, apic_id_of(id));
    if (cpuid(0).eax >= 0xb && cpuid(0xb).ebx != 0)
        CHECK_EQUAL(cpuid(0xb).edx, apic_id_of(id));
    CHECK(is_up(id));
    ++starts;
    reported |= 1u << id;
}

void report_and_halt()
{
    report();
    halt();
}
void report_and_halt_awake()
{
    report();
    wrmsr(apic::tpr, 0x50);
    halt_with_interrupts();
}
void report_and_spin()
{
    report();
    CHECK_EQUAL(rdmsr(apic::tpr), 0); // the one before had set it
    for (;;)
        vmm::guest::pause();
}
void report_and_poll()
{
    report();
    const s64 port = events::bind_ipi(this_processor());
    NEED(port > 0);
    evtchn_port_t ports[1] = {static_cast<evtchn_port_t>(port)};
    sched_poll what{};
    set_xen_guest_handle(what.ports, ports);
    what.nr_ports = 1;
    sched_op(SCHEDOP_poll, &what);
    NOTE(failure, "a poll that nothing ends has ended");
    halt();
}
void report_and_go_down()
{
    report();
    const u32 id = this_processor();
    for (;;) {
        vcpu_op(VCPUOP_down, id, nullptr);
        ++resumed;
    }
}

void starts_in(u32 vcpu, void (*body)())
{
    const u32 before = starts;
    reported         = 0;
    NEED(start_processor(vcpu, body));
    CHECK(soon([&] { return reported == 1u << vcpu; }));
    CHECK_EQUAL(starts.load(), before + 1);
    send_startup(vcpu);
    spin(1'000'000);
    CHECK_EQUAL(starts.load(), before + 1);
}

int state_of(u32 vcpu)
{
    vcpu_runstate_info info{};
    CHECK_EQUAL(vcpu_op(VCPUOP_get_runstate_info, vcpu, &info), 0);
    return info.state;
}

void check_down_and_up(u32 vcpu)
{
    starts_in(vcpu, report_and_go_down);
    for (u32 round = 0; round < 20; ++round) {
        CHECK(soon([&] { return !is_up(vcpu); }));
        CHECK(soon([&] { return state_of(vcpu) == RUNSTATE_offline; }));
        CHECK_EQUAL(resumed.load(), round);
        CHECK_EQUAL(vcpu_op(VCPUOP_up, vcpu, nullptr), 0);
        CHECK(soon([&] { return resumed == round + 1; }));
    }
}

} // namespace

void test_main()
{
    NEED(map_shared_info() == 0);
    apic::start();
    if (!exists(1))
        SKIP("this domain has one vCPU");

    u32 count = 1;
    for (; count < kMaxProcessors && exists(count); ++count) {
        CHECK(!is_up(count));
        CHECK_EQUAL(vcpu_op(VCPUOP_up, count, nullptr), -XEN_EINVAL);
        CHECK_EQUAL(state_of(count), RUNSTATE_offline);
    }
    for (u32 vcpu = 1; vcpu < count; ++vcpu) {
        starts_in(vcpu, report_and_halt);
        starts_in(vcpu, report_and_halt_awake);
        starts_in(vcpu, report_and_spin);
        starts_in(vcpu, report_and_poll);
        starts_in(vcpu, report_and_halt);
    }
    check_down_and_up(1);
    send_init(1);
    CHECK(soon([] { return !is_up(1); }));
}
