// SPDX-License-Identifier: Apache-2.0
//
// What CPUs do to each other, in instructions: as bench_operations, under QEMU's -icount, on 1, 2, 4 and 8
// physical CPUs. There all CPUs share one clock, which counts what any of them executes, and stands still for
// those that are halted; QEMU goes on with another CPU whenever one sends an interrupt, halts or says PAUSE.
// So a figure is the way from one CPU to another, one step after the other: what real CPUs would do at the
// same time counts, and so does what they spend on waiting for each other.
//
// vCPU n of this domain is pinned to CPU n, and the one after the last to CPU 0.
//
// - event-to-halted, event-to-running: from before EVTCHNOP_send on one CPU into the handler on another,
//   which is halted or spins.
// - message-to-halted, message-to-running: the same by the APIC; message-round-trip: its handler sends one
//   back, both halt meanwhile.
// - timer-late-halted, timer-late-running: from the time that was asked for into the handler.
// - switch-by-yield: two vCPUs on one CPU yield to each other; for each change.
// - switch-domains: an event to another domain on the same CPU and its answer, half of that. On another CPU:
//   event-to-domain.
// - all-...: see all_at_once.hpp.
#include "bench_processors/all_at_once.hpp"
#include "bench_processors/setup.hpp"

#include "guest/apic.hpp"
#include "guest/clock.hpp"
#include "guest/cpu.hpp"
#include "guest/events.hpp"
#include "guest/grants.hpp"
#include "guest/hypercall.hpp"
#include "guest/interrupts.hpp"
#include "guest/platform.hpp"
#include "guest/processors.hpp"
#include "lib/child.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;
using namespace vmm::guest_test;
using namespace vmm::bench;

const char* const kTestName = "bench_processors";

namespace
{

constexpr u8 kThere       = 0x61;
constexpr u8 kAndBack     = 0x62;
constexpr u8 kAnswer      = 0x63;
constexpr u64 kTimerDelay = 200 * kMicrosecond;
constexpr u32 kChanges    = 400;

u32 cpus = 1;
std::atomic<u64> message_at{0};

void send_message(u32 vcpu, u8 vector) { wrmsr(apic::icr, u64{apic_id_of(vcpu)} << 32 | vector); }

void message_came(Interrupt_frame&)
{
    message_at = rdtsc();
    apic::end_of_interrupt();
}
void send_back(Interrupt_frame&)
{
    send_message(0, kAnswer);
    apic::end_of_interrupt();
}

void bench_ways(void (*body)(), const char* event_name, const char* message_name)
{
    NEED(start_processor(1, body));
    bench(event_name, [] {
        settle();
        to_other.at     = 0;
        const u64 start = rdtsc();
        events::send(to_other.port);
        return spin_for(to_other.at) - start;
    });
    bench(message_name, [] {
        settle();
        message_at      = 0;
        const u64 start = rdtsc();
        send_message(1, kThere);
        return spin_for(message_at) - start;
    });
}

void bench_round_trip()
{
    NEED(start_processor(1, be_halted));
    bench("message-round-trip", [] {
        settle();
        message_at      = 0;
        const u64 start = rdtsc();
        send_message(1, kAndBack);
        return halt_for(message_at) - start;
    });
}

void bench_timer(const char* name, bool halts)
{
    bench(name, [halts] {
        const u64 due   = system_time() + kTimerDelay;
        const u64 start = rdtsc();
        const u64 begin = system_time();
        set_timer_of_first(due);
        if (!halts)
            sti();
        const u64 came = halts ? halt_for(timer.at) : spin_for(timer.at);
        cli();
        // A nanosecond is a tick here.
        return came - start - (due - begin);
    });
}

struct Turns {
    volatile u32 last;
    volatile u32 changes;
    volatile bool over;
} turns;

void take_turns(u32 vcpu)
{
    while (!turns.over) {
        if (turns.last != vcpu) {
            turns.last    = vcpu;
            turns.changes = turns.changes + 1;
        }
        sched_op(SCHEDOP_yield, nullptr);
        turns.over = turns.over || (vcpu == 0 && turns.changes >= kChanges);
    }
}

void be_second_on_first_cpu()
{
    take_turns(cpus);
    be_halted();
}

void bench_yield()
{
    turns = {};
    NEED(start_processor(cpus, be_second_on_first_cpu));
    const u64 start = rdtsc();
    take_turns(0);
    print("BENCH switch-by-yield ", (rdtsc() - start) / turns.changes);
    settle();
}

void bench_domains(domid_t child, u32 cpu, const char* name)
{
    pin(child, 0, cpu);
    bench(name, [] {
        settle();
        from_child.at   = 0;
        const u64 start = rdtsc();
        events::send(from_child.port);
        return (halt_for(from_child.at) - start) / 2;
    });
}

Page granted[kMaxProcessors];
evtchn_port_t to_parent = 0;

void answer_at_once(Interrupt_frame&)
{
    my_vcpu_info().evtchn_upcall_pending = 0;
    my_vcpu_info().evtchn_pending_sel    = 0;
    events::clear(to_parent);
    events::send(to_parent);
}

} // namespace

void child_main()
{
    Mailbox& box = my_mailbox();
    if (map_shared_info() != 0 || set_event_vector() != 0 || grants::start() != 0)
        return;
    events::install();
    for (u32 i = 0; i < kMaxProcessors; ++i)
        grants::allow(grants::kFirstOwn + i, 0, gfn_of(&granted[i]), true);
    to_parent = box.port_of_child;
    events::unmask(to_parent);
    breathe();
    set_handler(kEventVector, answer_at_once);
    box.stage = 1;
    for (;;)
        sti_hlt();
}

void test_main()
{
    NEED(map_shared_info() == 0);
    NEED(set_event_vector() == 0);
    apic::start();
    prepare();
    set_handler(kThere, message_came);
    set_handler(kAnswer, message_came);
    set_handler(kAndBack, send_back);
    cpus = cpu_count();
    NEED(cpus < kMaxProcessors + 1);
    for (u32 vcpu = 0; vcpu <= cpus; ++vcpu)
        pin(0, vcpu, vcpu % cpus);

    if (cpus > 1) {
        note(to_other, events::bind_ipi(1), 1);
        bench_ways(be_halted, "event-to-halted", "message-to-halted");
        bench_round_trip();
        bench_ways(be_running, "event-to-running", "message-to-running");
        NEED(start_processor(1, be_halted));
    }
    bench_timer("timer-late-halted", true);
    bench_timer("timer-late-running", false);
    bench_yield();

    Child child;
    NEED(child.build());
    const s64 port = events::bind_interdomain(child.id(), child.mailbox().port_of_child);
    NEED(child.unpause() == 0);
    NEED(child.wait_for_stage(1));
    note(from_child, port, 0);
    bench_domains(child.id(), 0, "switch-domains");
    if (cpus > 1)
        bench_domains(child.id(), 1, "event-to-domain");
    bench_all_at_once(cpus, child.id(), grants::kFirstOwn);
    child.destroy();
    print("BENCH-END");
}
