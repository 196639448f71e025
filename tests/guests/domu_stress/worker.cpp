// SPDX-License-Identifier: Apache-2.0
#include "domu_stress/worker.hpp"

#include "domu_stress/ports.hpp"

#include "guest/clock.hpp"
#include "guest/cpu.hpp"
#include "guest/events.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"

#include <algorithm>

namespace vmm::stress
{

using namespace vmm::guest;

Worker workers[kMaxProcessors];
u32 processors = 1;

namespace
{

constexpr u32 kGsBase     = 0xc0000101;
// A longer gap is somebody else's doing: pauses, caps, a busy machine.
constexpr u64 kMostAtOnce = 20 * kMillisecond;

void alarm_came(void*)
{
    Worker& worker = me();
    const u64 due  = worker.due;
    const u64 now  = worker.now();
    if (due == 0)
        fail("vCPU ", worker.id, " has a timer's event without having set a timer");
    else if (now < due)
        fail("vCPU ", worker.id, "'s timer came ", due - now, " ns early");
    else
        worker.latest = std::max(worker.latest, now - due);
    worker.did(Deed::timer);
    worker.overdue = 0;
    worker.due     = 0;
}

} // namespace

Worker& me()
{
    Worker* worker = nullptr;
    asm volatile("movq %%gs:0, %0" : "=r"(worker));
    return *worker;
}

bool become(u32 vcpu)
{
    static Worker* pointers[kMaxProcessors];
    Worker& worker = workers[vcpu];
    pointers[vcpu] = &worker;
    wrmsr(kGsBase, reinterpret_cast<u64>(&pointers[vcpu]));
    worker.id     = vcpu;
    worker.random = rdtsc() * 2 + 1;
    worker.looked = worker.now();

    const s64 timer = events::bind_virq(VIRQ_TIMER, vcpu);
    const s64 quiet = events::bind_ipi(vcpu);
    if (timer <= 0 || quiet <= 0) {
        fail("vCPU ", vcpu, " cannot have its ports: ", timer, " ", quiet);
        return false;
    }
    worker.poll_for = static_cast<u32>(quiet);
    ports::handle(static_cast<evtchn_port_t>(timer), vcpu, alarm_came, nullptr);
    return true;
}

u64 Worker::any(u64 below)
{
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    return (random >> 11) % below;
}

u64 Worker::now() const { return system_time(shared().vcpu_info[id]); }

void Worker::look()
{
    const u64 time = now();
    if (time < looked)
        fail("vCPU ", id, " saw its clock go back by ", looked - time, " ns");
    lived += std::min(time - looked, kMostAtOnce);
    looked = time;
}

void Worker::set_alarm(u64 most)
{
    if (due != 0)
        return;
    vcpu_set_singleshot_timer timer{};
    timer.timeout_abs_ns = now() + any(most);
    due                  = timer.timeout_abs_ns;
    if (const s64 rc = vcpu_op(VCPUOP_set_singleshot_timer, id, &timer); rc != 0)
        fail("vCPU ", id, " cannot set its timer: ", rc);
}

bool Worker::alarm_works()
{
    if (due == 0 || looked < due)
        overdue = 0;
    else if (overdue == 0)
        overdue = lived;
    else if (lived - overdue > kPatience)
        fail("vCPU ", id, "'s timer did not come");
    return due == 0;
}

void Worker::nap(u64 most)
{
    set_alarm(most);
    cli();
    if (due != 0)
        sti_hlt();
    sti();
    did(Deed::nap);
}

void Worker::yield()
{
    sched_op(SCHEDOP_yield, nullptr);
    did(Deed::yield);
}

void Worker::poll(u64 most)
{
    evtchn_port_t port[1] = {poll_for};
    sched_poll what{};
    set_xen_guest_handle(what.ports, port);
    what.nr_ports = 1;
    what.timeout  = now() + any(most);
    if (const s64 rc = sched_op(SCHEDOP_poll, &what); rc != 0)
        fail("vCPU ", id, " cannot poll: ", rc);
    did(Deed::poll);
}

u64 total(Deed what)
{
    u64 sum = 0;
    for (u32 i = 0; i < processors; ++i)
        sum += workers[i].done[static_cast<u32>(what)];
    return sum;
}

} // namespace vmm::stress
