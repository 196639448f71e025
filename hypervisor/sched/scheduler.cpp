// SPDX-License-Identifier: Apache-2.0
#include "sched/scheduler.hpp"

#include "arch/x86/cpu/execution.hpp"
#include "debug/log.hpp"
#include "domain/domain.hpp"
#include "domain/time.hpp"
#include "domain/vcpu.hpp"
#include "exit/exit_loop.hpp"
#include "mm/frame_allocator.hpp"
#include "sched/fair_policy.hpp"
#include "sched/null_policy.hpp"
#include "sched/timer.hpp"

namespace vmm::scheduler
{
namespace
{

using Look = Sched_host::Look;

void time_is_up(void* context);

// One per CPU.
struct Cpu {
    Vcpu* loaded = nullptr; // its FPU and debug registers are in the CPU
    u64 idle_ns  = 0;
    std::atomic<bool> reschedule{false};
    Sched_kind kind = Sched_kind::fair; // whose decisions it follows
    std::atomic<Sched_kind> wanted{Sched_kind::fair};
    Timer timer{time_is_up, this};
};

constinit std::array<Cpu, 1> cpus;
constinit std::array<Cpu_queue, 1> queues;
constinit std::array<Null_cpu, 1> own_cpus;

u32 this_cpu() { return 0; }
Cpu& here() { return cpus[this_cpu()]; }

void time_is_up(void* context) { static_cast<Cpu*>(context)->reschedule.store(true); }

Vcpu& vcpu_of(const Sched_entity& entity) { return *static_cast<Vcpu*>(entity.owner); }

class Host final : public Sched_host
{
    bool wants_cpu(const Sched_entity& entity) override
    {
        const Vcpu& vcpu = vcpu_of(entity);
        return vcpu.is_up() && !vcpu.blocked.load(std::memory_order_acquire) && vcpu.domain().runnable();
    }

    bool is_up(const Sched_entity& entity) override { return vcpu_of(entity).is_up(); }

    void no_cpu_for(const Sched_entity& entity) override
    {
        const Vcpu& vcpu = vcpu_of(entity);
        log::guest(log::Level::warning,
                   "d{}v{} waits for a CPU of its own: with sched=null each is taken by another vCPU",
                   vcpu.domain().id().value(), vcpu.id().value());
    }

    void state_changed(Sched_entity& entity, Time now) override
    {
        Vcpu& vcpu = vcpu_of(entity);
        vcpu.runstate.change(runstate_of(vcpu), now);
    }

    void kick(u32 cpu, Look look) override
    {
        if (look == Look::timer)
            here().timer.start(policy(here().kind).until(cpu));
        else
            cpus[cpu].reschedule.store(true);
    }

    static Runstate::State runstate_of(const Vcpu& vcpu)
    {
        switch (vcpu.sched.state) {
        case Sched_entity::State::running: return Runstate::State::running;
        case Sched_entity::State::queued:
        case Sched_entity::State::parked: return Runstate::State::runnable;
        case Sched_entity::State::off: break;
        }
        return vcpu.is_up() && vcpu.domain().runnable() ? Runstate::State::blocked : Runstate::State::offline;
    }

  public:
    static Policy& policy(Sched_kind kind);
};

constinit Host host;
constinit Fair_policy fair(host, queues);
constinit Null_policy unshared(host, own_cpus);

Policy& Host::policy(Sched_kind kind)
{
    if (kind == Sched_kind::unshared) [[unlikely]]
        return unshared;
    return fair;
}
Policy& policy_of(const Vcpu& vcpu) { return Host::policy(vcpu.sched.group.kind); }

// What VM entry does not switch stays in the CPU while nobody else needs it.
void switch_to(Cpu& cpu, Vcpu& next)
{
    if (cpu.loaded == &next)
        return;
    if (cpu.loaded)
        cpu.loaded->backend().store();
    next.backend().load();
    cpu.loaded = &next;
}

void run(Cpu& cpu, Vcpu& vcpu)
{
    switch_to(cpu, vcpu);
    while (!cpu.reschedule.load(std::memory_order_relaxed))
        run_once(vcpu);
}

void join(Cpu& cpu, u32 number)
{
    cpu.kind = cpu.wanted.load();
    Host::policy(cpu.kind).cpu_online(number, {Cpu_set::only(number), Cpu_set::only(number)},
                                      system_clock().now());
}

// Nothing runs here any more that the former one decided on, before another one decides.
void change_policy(Cpu& cpu, u32 number)
{
    Policy& former = Host::policy(cpu.kind);
    former.cpu_offline(number, system_clock().now());
    while (former.decide(number, system_clock().now()).next) {
    }
    join(cpu, number);
}

// Free memory is made clean while there is nothing better to do.
void idle(Cpu& cpu)
{
    const Time began = system_clock().now();
    while (!cpu.reschedule.load(std::memory_order_relaxed)) {
        if (frames.scrub_some())
            take_pending_interrupts();
        else
            halt_until_interrupt();
    }
    cpu.idle_ns += system_clock().now() - began;
}

} // namespace

void choose(Sched_kind which)
{
    default_sched_kind = which;
    for (Cpu& cpu : cpus)
        cpu.wanted.store(which);
}

void follow(u32 cpu, Sched_kind which)
{
    cpus[cpu].wanted.store(which);
    static_cast<Sched_host&>(host).kick(cpu, Look::again);
}

void run_this_cpu()
{
    const u32 number = this_cpu();
    Cpu& cpu         = here();
    join(cpu, number);
    for (;;) {
        cpu.reschedule.store(false);
        if (cpu.wanted.load(std::memory_order_relaxed) != cpu.kind) [[unlikely]]
            change_policy(cpu, number);
        const auto [next, until] = Host::policy(cpu.kind).decide(number, system_clock().now());
        if (until != kNever)
            cpu.timer.start(until);
        else if (cpu.timer.armed())
            cpu.timer.stop();
        if (next)
            run(cpu, vcpu_of(*next));
        else
            idle(cpu);
    }
}

void add(Vcpu& vcpu) { policy_of(vcpu).add(vcpu.sched); }

void forget(Vcpu& vcpu)
{
    policy_of(vcpu).remove(vcpu.sched);
    if (here().loaded == &vcpu)
        here().loaded = nullptr;
}

void wake(Vcpu& vcpu)
{
    if (vcpu.blocked.load(std::memory_order_relaxed) && vcpu.blocked.exchange(false))
        reconsider(vcpu);
}

void block(Vcpu& vcpu)
{
    vcpu.blocked.store(true); // a full barrier: an event that comes from now on sees it
    here().reschedule.store(true, std::memory_order_relaxed);
}

void yield(Vcpu& vcpu)
{
    if (policy_of(vcpu).yield(this_cpu(), system_clock().now()))
        here().reschedule.store(true, std::memory_order_relaxed);
}

void yield_to(Vcpu& vcpu, Vcpu& target)
{
    if (policy_of(vcpu).yield_to(this_cpu(), target.sched, system_clock().now()))
        here().reschedule.store(true, std::memory_order_relaxed);
}

void reconsider(Vcpu& vcpu) { policy_of(vcpu).update(vcpu.sched, system_clock().now()); }
void rearrange(Vcpu& vcpu) { policy_of(vcpu).changed(vcpu.sched, system_clock().now()); }
u32 cpu_of(const Vcpu& vcpu) { return vcpu.sched.cpu.load(std::memory_order_relaxed); }
bool must_reschedule() { return here().reschedule.load(std::memory_order_relaxed); }
u64 idle_time(u32 cpu) { return cpus[cpu].idle_ns; }

} // namespace vmm::scheduler
