// SPDX-License-Identifier: Apache-2.0
#include "bench_processors/setup.hpp"

#include "guest/clock.hpp"
#include "guest/cpu.hpp"
#include "guest/events.hpp"
#include "guest/hypercall.hpp"
#include "guest/interrupts.hpp"
#include "guest/platform.hpp"
#include "lib/child.hpp"
#include "lib/verdict.hpp"

#include <xen/sysctl.h>

#include <algorithm>

namespace vmm::bench
{

using namespace vmm::guest;

Arrival arrivals[kArrivals];

namespace
{

constexpr u64 kPatience = 1'000'000 * kMicrosecond;

void upcall(Interrupt_frame&)
{
    const u64 now = rdtsc();
    for (Arrival& arrival : arrivals) {
        if (arrival.port == 0 || !events::pending(arrival.port))
            continue;
        vcpu_info& info = shared().vcpu_info[arrival.vcpu];
        std::atomic_ref(info.evtchn_upcall_pending).store(0);
        std::atomic_ref(info.evtchn_pending_sel).store(0);
        events::clear(arrival.port);
        arrival.at = now;
    }
}

} // namespace

void note(Arrival& arrival, s64 port, u32 vcpu)
{
    NEED(port > 0);
    arrival.port = static_cast<evtchn_port_t>(port);
    arrival.vcpu = vcpu;
    events::clear(arrival.port);
    events::unmask(arrival.port);
}

void prepare()
{
    events::install(); // all ports are masked
    set_handler(kEventVector, upcall);
    note(timer, events::bind_virq(VIRQ_TIMER), 0);
}

u32 cpu_count()
{
    xen_sysctl op{};
    op.cmd               = XEN_SYSCTL_physinfo;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    NEED(hypercall(__HYPERVISOR_sysctl, gpa_of(&op)) == 0);
    return op.u.physinfo.nr_cpus;
}

void pin(domid_t domain, u32 vcpu, u32 cpu)
{
    u64 map                      = u64{1} << cpu;
    xen_domctl op                = {};
    auto& affinity               = op.u.vcpuaffinity;
    affinity.vcpu                = vcpu;
    affinity.flags               = XEN_VCPUAFFINITY_HARD;
    affinity.cpumap_hard.nr_bits = 64;
    set_xen_guest_handle_raw(affinity.cpumap_hard.bitmap, reinterpret_cast<u8*>(&map));
    NEED(guest_test::domctl(op, XEN_DOMCTL_setvcpuaffinity, domain) == 0);
}

void set_timer_of_first(u64 when)
{
    timer.at = 0;
    NEED(set_timer(when) == 0);
}

void settle()
{
    set_timer_of_first(system_time() + 100 * kMicrosecond);
    halt_for(timer.at);
}

u64 spin_for(const std::atomic<u64>& at)
{
    const u64 deadline = system_time() + kPatience;
    while (at == 0 && system_time() < deadline)
        vmm::guest::pause();
    NEED(at != 0);
    return at;
}

u64 halt_for(const std::atomic<u64>& at)
{
    events::wait_until([&] { return at != 0; });
    return at;
}

void be_halted()
{
    for (;;)
        asm volatile("sti; hlt; cli" : : : "memory");
}

void be_running()
{
    sti();
    for (;;)
        vmm::guest::pause();
}

void report(const char* name, u64 (&samples)[kRounds])
{
    std::sort(samples, samples + kRounds);
    print("BENCH ", name, " ", samples[kRounds / 2]);
}

} // namespace vmm::bench
