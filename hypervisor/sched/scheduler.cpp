// SPDX-License-Identifier: Apache-2.0
#include "sched/scheduler.hpp"

#include "arch/x86/cpu/execution.hpp"
#include "base/spinlock.hpp"
#include "domain/domain.hpp"
#include "domain/time.hpp"
#include "domain/vcpu.hpp"
#include "exit/exit_loop.hpp"
#include "mm/frame_allocator.hpp"
#include "sched/run_queue.hpp"
#include "sched/timer.hpp"

namespace vmm::scheduler
{
namespace
{

void slice_ended(void* context);

// One per CPU.
struct Cpu {
    Run_queue queue;
    Vcpu* current   = nullptr; // has the CPU
    Vcpu* loaded    = nullptr; // its FPU and debug registers are in the CPU
    u64 idle_ns     = 0;
    bool reschedule = false;
    Timer slice{slice_ended, this};
};
constinit Cpu cpu;

void slice_ended(void* context) { static_cast<Cpu*>(context)->reschedule = true; }

bool wants_cpu(const Vcpu& vcpu) { return vcpu.is_up() && !vcpu.sched.blocked && vcpu.domain().runnable(); }

Runstate::State idle_state(const Vcpu& vcpu)
{
    return vcpu.is_up() && vcpu.domain().runnable() ? Runstate::State::blocked : Runstate::State::offline;
}

// Somebody was queued: the one that runs now keeps the CPU at most for a slice, or gives it up at once.
void consider_preemption(Time now)
{
    if (!cpu.current) {
        cpu.reschedule = true;
        return;
    }
    if (cpu.queue.preempts(cpu.current->sched))
        cpu.reschedule = true;
    else if (!cpu.slice.armed())
        cpu.slice.start(now + Run_queue::kSlice);
}

void switch_to(Vcpu& next, Time now)
{
    if (cpu.loaded != &next) {
        if (cpu.loaded)
            cpu.loaded->backend().store();
        next.backend().load();
        cpu.loaded = &next;
    }
    cpu.current = &next;
    next.runstate.change(Runstate::State::running, now);
    Run_queue::start(next.sched, now);
    if (!cpu.queue.empty())
        cpu.slice.start(now + Run_queue::kSlice);
}

void switch_from(Vcpu& last)
{
    const Time now = system_clock().now();
    cpu.slice.stop();
    cpu.current = nullptr;
    cpu.queue.charge(last.sched, now);
    if (wants_cpu(last)) {
        cpu.queue.put_back(last.sched);
        last.runstate.change(Runstate::State::runnable, now);
    } else {
        last.runstate.change(idle_state(last), now);
    }
}

// Free memory is made clean while there is nothing better to do.
void idle()
{
    const Time began = system_clock().now();
    if (frames.scrub_some())
        take_pending_interrupts();
    else
        halt_until_interrupt();
    cpu.idle_ns += system_clock().now() - began;
}

} // namespace

void run_this_cpu()
{
    for (;;) {
        cpu.reschedule = false;
        if (Sched_entity* next = cpu.queue.take_next()) {
            auto& vcpu = *static_cast<Vcpu*>(next->owner);
            switch_to(vcpu, system_clock().now());
            while (!cpu.reschedule)
                run_once(vcpu);
            switch_from(vcpu);
        } else {
            idle();
        }
    }
}

void wake(Vcpu& vcpu)
{
    if (!vcpu.sched.blocked)
        return;
    vcpu.sched.blocked = false;
    reconsider(vcpu);
}

void block(Vcpu& vcpu)
{
    vcpu.sched.blocked = true;
    cpu.reschedule     = true;
}

void yield(Vcpu& vcpu)
{
    if (cpu.queue.empty())
        return;
    cpu.queue.step_back(vcpu.sched);
    cpu.reschedule = true;
}

void reconsider(Vcpu& vcpu)
{
    if (cpu.current == &vcpu) {
        if (!wants_cpu(vcpu))
            cpu.reschedule = true;
        return;
    }
    const bool wants = wants_cpu(vcpu);
    if (wants == vcpu.sched.queued)
        return;
    const Time now = system_clock().now();
    if (wants) {
        vcpu.runstate.change(Runstate::State::runnable, now);
        if (cpu.current)
            cpu.queue.charge(cpu.current->sched, now);
        cpu.queue.wake(vcpu.sched);
        consider_preemption(now);
    } else {
        cpu.queue.remove(vcpu.sched);
        vcpu.runstate.change(idle_state(vcpu), now);
    }
}

void forget(Vcpu& vcpu)
{
    cpu.queue.remove(vcpu.sched);
    if (cpu.loaded == &vcpu)
        cpu.loaded = nullptr;
}

bool must_reschedule() { return cpu.reschedule; }
u64 idle_time(u32) { return cpu.idle_ns; }

} // namespace vmm::scheduler
