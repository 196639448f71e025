// SPDX-License-Identifier: Apache-2.0
//
// Interrupts, events and timers between the vCPUs of a domain. [SDM3 11.6, 11.12; xen/include/public/vcpu.h]
//
// A fixed message by id, by logical id and to all others arrives exactly once at each that it names, halted
// or running, and at nobody else; so does an NMI, also where interrupts are off. An event of a port that is
// bound to a vCPU is announced to that vCPU, and a port can move. Each vCPU's own timer interrupts it. A poll
// ends by an event on a masked port. None is lost in many rounds in a row.
#include "guest/apic.hpp"
#include "guest/clock.hpp"
#include "guest/cpu.hpp"
#include "guest/events.hpp"
#include "guest/hypercall.hpp"
#include "guest/interrupts.hpp"
#include "guest/platform.hpp"
#include "guest/processors.hpp"
#include "lib/verdict.hpp"

#include <atomic>

using namespace vmm::guest;

const char* const kTestName = "ipi";

namespace
{

constexpr u8 kVector      = 0x61;
constexpr u64 kNmi        = 4u << 8;
constexpr u64 kLogical    = 1u << 11;
constexpr u64 kAllOthers  = 3u << 18;
constexpr u32 kRounds     = 40; // where the others sleep
constexpr u32 kFewRounds  = 1;  // where they run, and share a CPU perhaps
constexpr u64 kTimerDelay = 2'000'000;

u32 processors = 1;

struct alignas(64) Counts {
    std::atomic<u32> fixed{0}, nmi{0}, events{0}, polls{0};
};
Counts seen[kMaxProcessors];
evtchn_port_t timer_ports[kMaxProcessors];
std::atomic<bool> poll_next{false};
std::atomic<u32> poll_port{0};

void fixed_arrived(Interrupt_frame&)
{
    ++seen[this_processor()].fixed;
    apic::end_of_interrupt();
}
void nmi_arrived(Interrupt_frame&) { ++seen[this_processor()].nmi; }

// What is pending belongs to this vCPU, for the ports of this test each have a bit of their own.
void events_arrived(Interrupt_frame&)
{
    const u32 id  = this_processor();
    vcpu_info& my = shared().vcpu_info[id];
    std::atomic_ref(my.evtchn_upcall_pending).store(0);
    u64 words = std::atomic_ref(my.evtchn_pending_sel).exchange(0);
    for (; words != 0; words &= words - 1) {
        const auto word = static_cast<u32>(__builtin_ctzll(words));
        u64 bits        = std::atomic_ref(shared().evtchn_pending[word]).load() & ~shared().evtchn_mask[word];
        for (; bits != 0; bits &= bits - 1) {
            const u64 bit = bits & -bits;
            if (std::atomic_ref(shared().evtchn_pending[word]).fetch_and(~bit) & bit)
                ++seen[id].events;
        }
    }
}

void poll_for(evtchn_port_t port)
{
    evtchn_port_t ports[1] = {port};
    sched_poll what{};
    set_xen_guest_handle(what.ports, ports);
    what.nr_ports = 1;
    while (!events::pending(port))
        sched_op(SCHEDOP_poll, &what);
    events::clear(port);
    ++seen[this_processor()].polls;
}

void sleeper()
{
    for (;;) {
        asm volatile("sti; hlt; cli" : : : "memory");
        if (poll_next.exchange(false))
            poll_for(poll_port);
    }
}
void runner()
{
    sti();
    for (;;)
        vmm::guest::pause();
}
void deaf_sleeper()
{
    for (;;)
        asm volatile("cli; hlt" : : : "memory");
}

u32 logical_id_of(u32 vcpu) { return (apic_id_of(vcpu) >> 4) << 16 | 1u << (apic_id_of(vcpu) & 15); }

void check_fixed(u32 rounds)
{
    for (u32 round = 1; round <= rounds; ++round) {
        for (u32 vcpu = 1; vcpu < processors; ++vcpu) {
            const u32 before   = seen[vcpu].fixed;
            const bool logical = round % 2 != 0;
            const u64 to       = logical ? logical_id_of(vcpu) : apic_id_of(vcpu);
            wrmsr(apic::icr, to << 32 | (logical ? kLogical : 0) | kVector);
            NEED(soon([&] { return seen[vcpu].fixed != before; }));
            CHECK_EQUAL(seen[vcpu].fixed.load(), before + 1);
        }
        u32 before[kMaxProcessors] = {};
        for (u32 vcpu = 0; vcpu < processors; ++vcpu)
            before[vcpu] = seen[vcpu].fixed;
        wrmsr(apic::icr, kAllOthers | kVector);
        for (u32 vcpu = 1; vcpu < processors; ++vcpu)
            NEED(soon([&] { return seen[vcpu].fixed == before[vcpu] + 1; }));
        CHECK_EQUAL(seen[0].fixed.load(), before[0]);
    }
}

void check_nmi()
{
    for (u32 vcpu = 1; vcpu < processors; ++vcpu) {
        const u32 before = seen[vcpu].nmi;
        wrmsr(apic::icr, u64{apic_id_of(vcpu)} << 32 | kNmi);
        CHECK(soon([&] { return seen[vcpu].nmi == before + 1; }));
    }
}

void check_events(u32 rounds)
{
    for (u32 vcpu = 1; vcpu < processors; ++vcpu) {
        const s64 bound = events::bind_ipi(vcpu);
        NEED(bound > 0);
        const auto port = static_cast<evtchn_port_t>(bound);
        events::unmask(port);
        for (u32 round = 0; round < rounds; ++round) {
            const u32 before = seen[vcpu].events;
            CHECK_EQUAL(events::send(port), 0);
            NEED(soon([&] { return seen[vcpu].events == before + 1; }));
        }
        CHECK_EQUAL(events::close(port), 0);
    }
}

// A channel of the domain with itself: its near end is told to one vCPU after the other.
void check_moving()
{
    const s64 far = events::alloc_unbound(DOMID_SELF);
    NEED(far > 0);
    const s64 near = events::bind_interdomain(DOMID_SELF, static_cast<evtchn_port_t>(far));
    NEED(near > 0);
    const auto port = static_cast<evtchn_port_t>(near);
    events::clear(port);
    for (u32 vcpu = 1; vcpu < processors; ++vcpu) {
        evtchn_bind_vcpu to{port, vcpu};
        CHECK_EQUAL(event_op(EVTCHNOP_bind_vcpu, &to), 0);
        events::unmask(port);
        const u32 before = seen[vcpu].events;
        CHECK_EQUAL(events::send(static_cast<evtchn_port_t>(far)), 0);
        CHECK(soon([&] { return seen[vcpu].events == before + 1; }));
    }
    CHECK_EQUAL(events::close(port), 0);
    CHECK_EQUAL(events::close(static_cast<evtchn_port_t>(far)), 0);
}

void timed()
{
    for (;;) {
        vcpu_set_singleshot_timer when{};
        when.timeout_abs_ns = system_time() + kTimerDelay;
        vcpu_op(VCPUOP_set_singleshot_timer, this_processor(), &when);
        asm volatile("sti; hlt; cli" : : : "memory");
    }
}

void check_timers()
{
    for (u32 vcpu = 1; vcpu < processors; ++vcpu) {
        const s64 port = events::bind_virq(VIRQ_TIMER, vcpu);
        NEED(port > 0);
        timer_ports[vcpu] = static_cast<evtchn_port_t>(port);
        events::unmask(timer_ports[vcpu]);
        NEED(start_processor(vcpu, timed));
    }
    for (u32 vcpu = 1; vcpu < processors; ++vcpu) {
        const u32 before = seen[vcpu].events;
        CHECK(soon([&] { return seen[vcpu].events >= before + 20; }));
    }
}

void check_poll()
{
    for (u32 vcpu = 1; vcpu < processors; ++vcpu) {
        const s64 bound = events::bind_ipi(vcpu);
        NEED(bound > 0);
        poll_port = static_cast<u32>(bound);
        events::mask(poll_port);
        for (u32 round = 0; round < kRounds; ++round) {
            const u32 before = seen[vcpu].polls;
            poll_next        = true;
            wrmsr(apic::icr, u64{apic_id_of(vcpu)} << 32 | kVector);
            CHECK_EQUAL(events::send(poll_port), 0);
            NEED(soon([&] { return seen[vcpu].polls == before + 1; }));
        }
        CHECK_EQUAL(events::close(poll_port), 0);
    }
}

void all_run(void (*body)())
{
    for (u32 vcpu = 1; vcpu < processors; ++vcpu)
        NEED(start_processor(vcpu, body));
}

} // namespace

void test_main()
{
    NEED(map_shared_info() == 0);
    NEED(set_event_vector() == 0);
    apic::start();
    set_handler(kVector, fixed_arrived);
    set_handler(2, nmi_arrived);
    events::install(); // all ports are masked
    set_handler(kEventVector, events_arrived);
    while (processors < kMaxProcessors && vcpu_op(VCPUOP_is_up, processors, nullptr) >= 0)
        ++processors;
    if (processors == 1)
        SKIP("this domain has one vCPU");

    all_run(sleeper);
    check_fixed(kRounds);
    check_nmi();
    check_events(kRounds);
    check_moving();
    check_poll();
    all_run(runner);
    check_fixed(kFewRounds);
    check_nmi();
    check_events(kFewRounds);
    all_run(deaf_sleeper);
    check_nmi();
    check_timers();
}
