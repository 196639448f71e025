// SPDX-License-Identifier: Apache-2.0
#include "sched/scheduler.hpp"

#include "arch/x86/cpu/execution.hpp"
#include "arch/x86/intr/ipi.hpp"
#include "base/turns.hpp"
#include "debug/log.hpp"
#include "domain/domain.hpp"
#include "domain/time.hpp"
#include "domain/vcpu.hpp"
#include "exit/exit_loop.hpp"
#include "mm/frame_allocator.hpp"
#include "sched/core_policy.hpp"
#include "sched/fair_policy.hpp"
#include "sched/null_policy.hpp"
#include "sched/timer.hpp"
#include "sched/vcpu_clock.hpp"

namespace vmm::scheduler
{
namespace
{

using Look = Sched_host::Look;

void time_is_up(void* context);

struct Cpu {
    Vcpu* loaded = nullptr; // its FPU and debug registers are in the CPU
    std::atomic<u64> idle_ns{0};
    std::atomic<bool> reschedule{false};
    Sched_kind kind = Sched_kind::fair; // whose decisions it follows
    std::atomic<Sched_kind> wanted{Sched_kind::fair};
    std::atomic<Policy*> followed{nullptr}; // the policy of `kind`, while it knows of this CPU
    std::atomic<bool> offline{false};
    Timer timer{time_is_up, this};
};

constinit Per_cpu<Cpu> cpus;
constinit std::array<Cpu_queue, kMaxCpus> queues;
constinit std::array<Null_cpu, kMaxCpus> own_cpus;

Cpu& here() { return cpus.here(); }

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
        Vcpu& vcpu     = vcpu_of(entity);
        const bool has = entity.state == Sched_entity::State::running;
        vcpu.running_on.store(has ? static_cast<s32>(this_cpu()) : Vcpu::kNowhere);
        vcpu.runstate.change(runstate_of(vcpu), now);
    }

    void kick(u32 cpu, Look look) override
    {
        if (look == Look::timer && cpu == this_cpu()) {
            here().timer.start(policy(here().kind).until(cpu));
            return;
        }
        cpus.of(cpu).reschedule.store(true);
        if (cpu != this_cpu())
            interrupt_cpu(cpu);
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

// sched-gran=core: how many threads a core has at most; else 1.
u32 threads_of_unit = 1;
constinit std::array<Core_state, kMaxCpus> fair_cores;
constinit std::array<Core_state, kMaxCpus> own_cores;
constinit Policy_of_cores<Fair_policy, Cpu_queue> fair_of_cores(host, fair_cores, queues);
constinit Policy_of_cores<Null_policy, Null_cpu> unshared_of_cores(host, own_cores, own_cpus);

Policy& Host::policy(Sched_kind kind)
{
    if (threads_of_unit > 1) [[unlikely]]
        return kind == Sched_kind::unshared ? unshared_of_cores.cores : fair_of_cores.cores;
    if (kind == Sched_kind::unshared) [[unlikely]]
        return unshared;
    return fair;
}
Policy& policy_of(const Vcpu& vcpu) { return *vcpu.sched.policy.load(); }

// What VM entry does not switch stays in the CPU while nobody else needs it.
void load(Cpu& cpu, Vcpu& next)
{
    next.domain().p2m().used_by(this_cpu());
    if (cpu.loaded != &next) {
        if (cpu.loaded)
            cpu.loaded->backend().store();
        next.backend().load();
        cpu.loaded = &next;
    }
    next.start_if_asked();
}

// Where there are others, one may take it at the next decision, so nothing of it stays here.
void unload(Cpu& cpu, Vcpu& last)
{
    if (cpu_count() > 1) {
        last.backend().store();
        cpu.loaded = nullptr;
    }
    last.domain().p2m().unused_by(this_cpu());
}

void run(Cpu& cpu, Vcpu& vcpu)
{
    load(cpu, vcpu);
    vcpu_clock::runs(vcpu);
    vcpu.spins.store(false, std::memory_order_relaxed);
    vcpu.backend().run(cpu.reschedule);
    vcpu_clock::stopped();
    unload(cpu, vcpu);
}

void halt(Cpu& cpu)
{
    turns::go_out();
    if (!cpu.reschedule.load())
        halt_until_interrupt();
    turns::come_in();
}

void join(Cpu& cpu, u32 number)
{
    cpu.kind       = cpu.wanted.load();
    Policy& policy = Host::policy(cpu.kind);
    policy.cpu_online(
        number,
        {Cpu_set(cpus_alike(number, &Physical_cpu::core)), Cpu_set(cpus_alike(number, &Physical_cpu::cache))},
        system_clock().now());
    cpu.followed.store(&policy);
}

// Nothing runs here any more that the policy decided on.
void leave(Cpu& cpu, u32 number)
{
    Policy& former = Host::policy(cpu.kind);
    cpu.followed.store(nullptr);
    former.cpu_offline(number, system_clock().now());
    while (former.decide(number, system_clock().now()).next) {
    }
}

// Another policy decides from now on, or for some time nobody does.
void leave_and_join(Cpu& cpu, u32 number)
{
    leave(cpu, number);
    while (cpu.offline.load()) {
        halt(cpu);
        cpu.reschedule.store(false);
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
            halt(cpu);
    }
    cpu.idle_ns += system_clock().now() - began;
}

} // namespace

void choose(Sched_kind which)
{
    default_sched_kind = which;
    for (u32 cpu = 0; cpu < kMaxCpus; ++cpu)
        cpus.of(cpu).wanted.store(which);
}

bool choose_cores()
{
    for (u32 cpu = 0; cpu < cpu_count(); ++cpu)
        threads_of_unit = std::max(threads_of_unit, Cpu_set(cpus_alike(cpu, &Physical_cpu::core)).count());
    ASSERT(threads_of_unit <= Sched_unit::kMost);
    return threads_of_unit > 1;
}

Cpu_set cpus_of_unit(u32 cpu)
{
    return threads_of_unit > 1 ? Cpu_set(cpus_alike(cpu, &Physical_cpu::core)) : Cpu_set::only(cpu);
}

u32 vcpus_of_unit() { return threads_of_unit; }

bool follow(u32 cpu, Sched_kind which)
{
    Cpu& other = cpus.of(cpu);
    other.wanted.store(which);
    if (other.offline.load() || other.followed.load() == &Host::policy(which))
        return true;
    static_cast<Sched_host&>(host).kick(cpu, Look::again);
    return false;
}

bool set_offline(u32 cpu, bool offline)
{
    Cpu& other = cpus.of(cpu);
    other.offline.store(offline);
    if (offline == (other.followed.load() == nullptr))
        return true;
    static_cast<Sched_host&>(host).kick(cpu, Look::again);
    return false;
}

void run_this_cpu()
{
    const u32 number = this_cpu();
    Cpu& cpu         = here();
    join(cpu, number);
    for (;;) {
        cpu.reschedule.store(false);
        if (cpu.wanted.load(std::memory_order_relaxed) != cpu.kind ||
            cpu.offline.load(std::memory_order_relaxed)) [[unlikely]]
            leave_and_join(cpu, number);
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

void add(Vcpu& vcpu) { Host::policy(vcpu.sched.group.kind).add(vcpu.sched); }
void remove(Vcpu& vcpu) { policy_of(vcpu).remove(vcpu.sched); }

void forget(Vcpu& vcpu)
{
    remove(vcpu);
    if (here().loaded == &vcpu)
        here().loaded = nullptr;
}

void wake(Vcpu& vcpu)
{
    if (vcpu.blocked.load() && vcpu.blocked.exchange(false))
        return reconsider(vcpu);
    // Where it runs now it may be in its guest, and would not look before the next exit.
    const s32 runs_on = vcpu.running_on.load();
    if (runs_on == Vcpu::kNowhere || static_cast<u32>(runs_on) == this_cpu())
        return;
    if (turns::is_out(turns::of(static_cast<u32>(runs_on))))
        interrupt_cpu(static_cast<u32>(runs_on));
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

void wait_until_stopped(const Vcpu& vcpu)
{
    while (vcpu.running_on.load() != Vcpu::kNowhere)
        __builtin_ia32_pause();
}

void reconsider(Vcpu& vcpu)
{
    if (Policy* const policy = vcpu.sched.policy.load()) [[likely]] // else it is on its way to another one
        policy->update(vcpu.sched, system_clock().now());
}

void rearrange(Vcpu& vcpu) { policy_of(vcpu).changed(vcpu.sched, system_clock().now()); }
u32 cpu_of(const Vcpu& vcpu) { return vcpu.sched.cpu.load(std::memory_order_relaxed); }
bool must_reschedule() { return here().reschedule.load(std::memory_order_relaxed); }
u64 idle_time(u32 cpu) { return cpus.of(cpu).idle_ns; }

} // namespace vmm::scheduler
