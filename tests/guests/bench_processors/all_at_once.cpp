// SPDX-License-Identifier: Apache-2.0
#include "bench_processors/all_at_once.hpp"

#include "guest/apic.hpp"
#include "guest/cpu.hpp"
#include "guest/events.hpp"
#include "guest/grants.hpp"
#include "guest/hypercall.hpp"
#include "guest/interrupts.hpp"
#include "guest/processors.hpp"
#include "lib/child.hpp"
#include "lib/verdict.hpp"

namespace vmm::bench
{

using namespace vmm::guest;

namespace
{

constexpr u32 kTimes      = 200;  // for each CPU
constexpr u8 kFirstVector = 0x70; // to each vCPU its own
constexpr u8 kAllDone     = 0x7f;

u32 cpus;
domid_t granter;
grant_ref_t first_granted;
void (*what)(u32 vcpu);
std::atomic<u32> ready{0}, finished{0};
std::atomic<bool> go{false};
std::atomic<u64> end{0};
evtchn_port_t own_ports[kMaxProcessors];
u64 places;

struct alignas(64) Messages {
    std::atomic<u32> count{0};
};
Messages messages[kMaxProcessors];

void all_done(Interrupt_frame&) { apic::end_of_interrupt(); }

void take_part(u32 vcpu)
{
    what(vcpu);
    if (++finished == cpus) {
        end = rdtsc();
        wrmsr(apic::icr, u64{apic_id_of(0)} << 32 | kAllDone);
    }
}

void other()
{
    const u32 vcpu = this_processor();
    ++ready;
    while (!go)
        vmm::guest::pause();
    take_part(vcpu);
    be_halted();
}

void measure(const char* name, void (*operation)(u32 vcpu))
{
    what     = operation;
    ready    = 0;
    finished = 0;
    go       = false;
    end      = 0;
    for (u32 vcpu = 1; vcpu < cpus; ++vcpu)
        NEED(start_processor(vcpu, other));
    while (ready != cpus - 1)
        vmm::guest::pause();
    const u64 start = rdtsc();
    go              = true;
    take_part(0);
    halt_for(end);
    breathe();
    print("BENCH ", name, " ", (end - start) / (u64{kTimes} * cpus));
}

void send_masked(u32 vcpu)
{
    for (u32 i = 0; i < kTimes; ++i) {
        events::clear(own_ports[vcpu]);
        events::send(own_ports[vcpu]);
    }
}

void map_and_unmap(u32 vcpu)
{
    const u64 place = places + vcpu * kPageSize;
    for (u32 i = 0; i < kTimes; ++i) {
        const auto op = grants::map(granter, first_granted + vcpu, place, true);
        NEED(op.status == GNTST_okay);
        *at_gpa<volatile u64>(place) = i;
        NEED(grants::unmap(op.handle, place) == GNTST_okay);
    }
}

void yield(u32)
{
    for (u32 i = 0; i < kTimes; ++i)
        sched_op(SCHEDOP_yield, nullptr);
}

void message(Interrupt_frame& frame)
{
    ++messages[frame.vector - kFirstVector].count;
    apic::end_of_interrupt();
}

// Pairs, one of which begins; each halts until the other's message is there. One CPU alone tells itself.
void message_to_and_fro(u32 vcpu)
{
    const u32 partner = cpus == 1 ? vcpu : vcpu ^ 1;
    for (u32 i = 1; i <= kTimes; ++i) {
        if (vcpu % 2 == 1)
            events::wait_until([&] { return messages[vcpu].count >= i; });
        wrmsr(apic::icr, u64{apic_id_of(partner)} << 32 | static_cast<u64>(kFirstVector + partner));
        if (vcpu % 2 == 0)
            events::wait_until([&] { return messages[vcpu].count >= i; });
    }
}

} // namespace

void bench_all_at_once(u32 count, domid_t child, grant_ref_t first_ref)
{
    cpus          = count;
    granter       = child;
    first_granted = first_ref;
    places        = guest_test::window(cpus);
    set_handler(kAllDone, all_done);
    for (u32 vcpu = 0; vcpu < cpus; ++vcpu) {
        set_handler(static_cast<u8>(kFirstVector + vcpu), message);
        const s64 port = events::bind_ipi(vcpu);
        NEED(port > 0);
        own_ports[vcpu] = static_cast<evtchn_port_t>(port);
        events::mask(own_ports[vcpu]);
    }
    measure("all-send-masked", send_masked);
    measure("all-map-and-unmap", map_and_unmap);
    measure("all-yield", yield);
    measure("all-message", message_to_and_fro);
}

} // namespace vmm::bench
