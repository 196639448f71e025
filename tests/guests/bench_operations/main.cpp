// SPDX-License-Identifier: Apache-2.0
//
// What operations cost, in instructions: this guest is run under QEMU's -icount, where the time-stamp
// counter counts one for each emulated instruction, the hypervisor's included. It runs unchanged on any
// hypervisor with Xen's ABI, so figures can be compared. `BENCH name value` lines are medians; BENCH-END
// is the last line. tests/bench/run is what runs it.
//
// Each operation is what a kernel does, and no more: one hypercall, one trapping instruction, or from one
// side of an event to the other. Handlers of interrupts are as short as they can be. Memory given back is
// asked for again after the machine had a moment of idleness, as happens when a guest balloons.
#include "guest/apic.hpp"
#include "guest/clock.hpp"
#include "guest/cpu.hpp"
#include "guest/events.hpp"
#include "guest/grants.hpp"
#include "guest/hypercall.hpp"
#include "guest/interrupts.hpp"
#include "guest/platform.hpp"
#include "lib/child.hpp"
#include "lib/verdict.hpp"

#include <algorithm>

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "bench_operations";

namespace
{

constexpr u32 kRepeats       = 31;
constexpr u32 kBatch         = 32;
constexpr u32 kMtrrCap       = 0xfe;
constexpr u8 kIpiVector      = 0x61;
constexpr grant_ref_t kFirst = grants::kFirstOwn;
constexpr u64 kBalloonGpa    = 0x8000000; // 128 MiB: memory, and nothing of this image
constexpr u64 kMillisecond   = 1'000'000;

u64 overhead = 0;
u64 samples[kRepeats];

void report(const char* name, u32 count, u64 divide = 1)
{
    std::sort(samples, samples + count);
    print("BENCH ", name, " ", (samples[count / 2] + divide / 2) / divide);
}

template <class Operation>
u64 cost(Operation operation)
{
    const u64 start = rdtsc();
    operation();
    return rdtsc() - start - overhead;
}

template <class Operation>
void bench(const char* name, Operation operation)
{
    operation();
    for (u64& sample : samples)
        sample = cost(operation);
    report(name, kRepeats);
}

void measure_overhead()
{
    for (u64& sample : samples)
        sample = cost([] {});
    std::sort(samples, samples + kRepeats);
    overhead = samples[kRepeats / 2];
}

void bench_exits()
{
    bench("null-hypercall", [] { hypercall(__HYPERVISOR_xen_version, XENVER_version, 0); });
    bench("cpuid", [] { cpuid(1); });
    bench("rdmsr", [] { rdmsr(kMtrrCap); });
    bench("x2apic-read", [] { rdmsr(apic::tpr); });
}

evtchn_send own_port;

void short_event_handler(Interrupt_frame&)
{
    my_vcpu_info().evtchn_upcall_pending = 0;
    my_vcpu_info().evtchn_pending_sel    = 0;
    events::clear(own_port.port);
}

void bench_events()
{
    const s64 bound = events::bind_ipi(0);
    NEED(bound > 0);
    own_port.port = static_cast<evtchn_port_t>(bound);
    events::mask(own_port.port);
    for (u64& sample : samples) {
        events::clear(own_port.port);
        sample = cost([] { event_op(EVTCHNOP_send, &own_port); });
    }
    report("event-send-masked", kRepeats);

    set_handler(kEventVector, short_event_handler);
    events::clear(own_port.port);
    events::unmask(own_port.port);
    breathe();
    for (u64& sample : samples) {
        const u64 before = interrupt_count(kEventVector);
        sti();
        sample = cost([] { event_op(EVTCHNOP_send, &own_port); });
        cli();
        NEED(interrupt_count(kEventVector) == before + 1);
    }
    report("event-send-delivered", kRepeats);
    NEED(events::close(own_port.port) == 0);
    events::install();
}

volatile u64 arrived_at = 0;
void note_arrival(Interrupt_frame&)
{
    arrived_at = rdtsc();
    apic::end_of_interrupt();
}

void bench_self_ipi()
{
    set_handler(kIpiVector, note_arrival);
    for (u64& sample : samples) {
        sti();
        const u64 start = rdtsc();
        apic::send_to_self(kIpiVector);
        cli();
        sample = arrived_at - start - overhead;
    }
    report("self-ipi", kRepeats);
}

void bench_timer()
{
    vcpu_set_singleshot_timer timer{};
    timer.timeout_abs_ns = system_time() + 3'600'000 * kMillisecond;
    bench("timer-set", [&] { vcpu_op(VCPUOP_set_singleshot_timer, 0, &timer); });
    vcpu_op(VCPUOP_stop_singleshot_timer, 0, nullptr);
}

volatile u32 answers = 0;
void count_answer(evtchn_port_t) { answers = answers + 1; }

void bench_round_trip(evtchn_port_t port)
{
    events::listen(port, count_answer);
    breathe();
    for (u32 i = 0; i < kRepeats + 1; ++i) {
        const u32 before = answers;
        evtchn_send op{.port = port};
        const u64 spent = cost([&] {
            event_op(EVTCHNOP_send, &op);
            events::wait_until([&] { return answers != before; });
        });
        if (i > 0)
            samples[i - 1] = spent;
    }
    report("event-round-trip", kRepeats);
}

gnttab_map_grant_ref maps[kBatch];
gnttab_unmap_grant_ref unmaps[kBatch];
gnttab_copy copies[kBatch];
alignas(4096) Page landing[kBatch];

void prepare_map(domid_t granter, u64 there, u32 count)
{
    for (u32 i = 0; i < count; ++i) {
        maps[i]           = {};
        maps[i].host_addr = there + i * kPageSize;
        maps[i].flags     = GNTMAP_host_map;
        maps[i].ref       = kFirst + i;
        maps[i].dom       = granter;
    }
}

void prepare_unmap(u32 count)
{
    for (u32 i = 0; i < count; ++i) {
        NEED(maps[i].status == GNTST_okay);
        unmaps[i]           = {};
        unmaps[i].host_addr = maps[i].host_addr;
        unmaps[i].handle    = maps[i].handle;
    }
}

void bench_mapping(domid_t granter, u32 count, const char* map_name, const char* unmap_name)
{
    u64 unmap_samples[kRepeats];
    const u64 there = window(kBatch);
    for (u32 i = 0; i < kRepeats + 1; ++i) {
        prepare_map(granter, there, count);
        const u64 mapping = cost([&] { grant_op(GNTTABOP_map_grant_ref, maps, count); });
        prepare_unmap(count);
        const u64 unmapping = cost([&] { grant_op(GNTTABOP_unmap_grant_ref, unmaps, count); });
        NEED(unmaps[count - 1].status == GNTST_okay);
        if (i > 0) { // the first builds page tables
            samples[i - 1]       = mapping;
            unmap_samples[i - 1] = unmapping;
        }
    }
    report(map_name, kRepeats, count);
    std::copy(unmap_samples, unmap_samples + kRepeats, samples);
    report(unmap_name, kRepeats, count);
}

void bench_copying(domid_t granter, u32 count, const char* name)
{
    for (u32 i = 0; i < count; ++i) {
        copies[i]              = {};
        copies[i].source.u.ref = kFirst + i;
        copies[i].source.domid = granter;
        copies[i].dest.u.gmfn  = gfn_of(&landing[i]);
        copies[i].dest.domid   = DOMID_SELF;
        copies[i].len          = kPageSize;
        copies[i].flags        = GNTCOPY_source_gref;
    }
    for (u64& sample : samples) {
        sample = cost([&] { grant_op(GNTTABOP_copy, copies, count); });
        NEED(copies[count - 1].status == GNTST_okay);
    }
    report(name, kRepeats, count);
}

void idle(u64 ns)
{
    const u64 until = system_time() + ns;
    set_timer(until);
    events::wait_until([&] { return system_time() >= until; });
}

s64 reserve(u32 command, u64 gpa, u32 order)
{
    xen_pfn_t gfn = gpa / kPageSize;
    xen_memory_reservation r{};
    set_xen_guest_handle(r.extent_start, &gfn);
    r.nr_extents   = 1;
    r.extent_order = order;
    r.domid        = DOMID_SELF;
    return memory_op(command, &r);
}

void bench_balloon()
{
    constexpr u32 kOrder2m = 9;
    for (u64& sample : samples) {
        sample = cost([] {
            NEED(reserve(XENMEM_decrease_reservation, kBalloonGpa, 0) == 1);
            NEED(reserve(XENMEM_populate_physmap, kBalloonGpa, 0) == 1);
        });
    }
    report("balloon-4k", kRepeats);

    constexpr u32 kTimes = 5;
    u64 populate[kTimes];
    for (u32 i = 0; i < kTimes; ++i) {
        const u64 gpa = kBalloonGpa + (i + 1) * (kPageSize << kOrder2m);
        samples[i]    = cost([&] { NEED(reserve(XENMEM_decrease_reservation, gpa, kOrder2m) == 1); });
        idle(20 * kMillisecond);
        populate[i] = cost([&] { NEED(reserve(XENMEM_populate_physmap, gpa, kOrder2m) == 1); });
    }
    report("decrease-2m", kTimes);
    std::copy(populate, populate + kTimes, samples);
    report("populate-2m", kTimes);
}

evtchn_send answer;

void answer_at_once(Interrupt_frame&)
{
    my_vcpu_info().evtchn_upcall_pending = 0;
    my_vcpu_info().evtchn_pending_sel    = 0;
    events::clear(answer.port);
    event_op(EVTCHNOP_send, &answer);
}

void on_timer(evtchn_port_t) {}

} // namespace

void child_main()
{
    Mailbox& box = my_mailbox();
    if (map_shared_info() != 0 || set_event_vector() != 0 || grants::start() != 0)
        return;
    events::install();
    for (u32 i = 0; i < kBatch; ++i)
        grants::allow(kFirst + i, 0, gfn_of(&landing[i]), true);
    answer.port = box.port_of_child;
    events::unmask(answer.port);
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
    events::install();
    apic::start();
    measure_overhead();
    bench_exits();
    bench_events();
    bench_self_ipi();
    bench_timer();
    const s64 timer = events::bind_virq(VIRQ_TIMER);
    NEED(timer > 0);
    events::listen(static_cast<evtchn_port_t>(timer), on_timer);

    Child child;
    NEED(child.build());
    const s64 port = events::bind_interdomain(child.id(), child.mailbox().port_of_child);
    NEED(port > 0);
    NEED(child.unpause() == 0);
    NEED(child.wait_for_stage(1));
    bench_round_trip(static_cast<evtchn_port_t>(port));
    bench_mapping(child.id(), 1, "grant-map", "grant-unmap");
    bench_mapping(child.id(), kBatch, "grant-map-batch32", "grant-unmap-batch32");
    bench_copying(child.id(), 1, "grant-copy");
    bench_copying(child.id(), kBatch, "grant-copy-batch32");
    child.destroy();
    bench_balloon();
    print("BENCH-END");
}
