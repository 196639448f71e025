// SPDX-License-Identifier: Apache-2.0
#include "sched/null_policy.hpp"

namespace vmm
{

bool Null_policy::may_keep(u32 cpu, const Sched_entity& entity) const
{
    return host_.is_up(entity) && entity.allowed(online_).has(cpu);
}

bool Null_policy::owns_cpu(const Sched_entity& entity)
{
    Null_cpu& cpu = cpus_[entity.cpu.load(std::memory_order_relaxed)];
    const Lock_guard guard(cpu.lock);
    return cpu.owner == &entity;
}

// False: it has no CPU. Else that one looks at it, if there is anything new or `always`.
bool Null_policy::kick_owned(const Sched_entity& entity, bool always)
{
    const u32 number = entity.cpu.load(std::memory_order_relaxed);
    Null_cpu& cpu    = cpus_[number];
    const Lock_guard guard(cpu.lock);
    if (cpu.owner != &entity)
        return false;
    if (always || host_.wants_cpu(entity) != (entity.state == State::running) || !host_.is_up(entity))
        host_.kick(number, Sched_host::Look::again);
    return true;
}

bool Null_policy::take(u32 number, Sched_entity& entity)
{
    Null_cpu& cpu = cpus_[number];
    const Lock_guard guard(cpu.lock);
    if (!cpu.online || cpu.owner)
        return false;
    cpu.owner = &entity;
    entity.cpu.store(number, std::memory_order_relaxed);
    host_.kick(number, Sched_host::Look::again);
    return true;
}

// The one it had, if that is free, or the next; rather one that it likes.
bool Null_policy::find_cpu(Sched_entity& entity)
{
    const Cpu_set may   = entity.allowed(online_);
    const Cpu_set liked = may & entity.soft_affinity.load();
    for (Cpu_set set : {liked, may}) {
        for (u32 cpu = entity.cpu.load(std::memory_order_relaxed); set.any(); set = set.without(cpu)) {
            cpu = set.next(cpu);
            if (take(cpu, entity))
                return true;
        }
    }
    return false;
}

// One without a CPU that wants one gets it, or waits for it.
void Null_policy::place(Sched_entity& entity, Time now)
{
    if (owns_cpu(entity) || !entity.is_of(*this))
        return;
    const bool waits = entity.state == State::queued;
    const bool wants = host_.wants_cpu(entity);
    const bool found = wants && find_cpu(entity);
    if (waits && (found || !wants))
        waiting_.remove(entity);
    if (!wants)
        host_.enter(entity, State::off, now);
    if (!wants || found || waits)
        return;
    entity.key = ticket_++;
    waiting_.insert(entity);
    host_.enter(entity, State::queued, now);
    host_.no_cpu_for(entity);
}

// Its owner has to leave, and goes where it may.
void Null_policy::vacate(u32 number, Time now)
{
    Null_cpu& cpu = cpus_[number];
    cpu.lock.lock();
    Sched_entity* const owner = cpu.owner;
    const bool leaves         = owner && !may_keep(number, *owner);
    if (leaves) {
        cpu.owner = nullptr;
        host_.enter(*owner, State::off, now);
    }
    cpu.lock.unlock();
    if (!leaves)
        return;
    place(*owner, now);
    if (online_.has(number))
        serve([&](Sched_entity& entity) {
            return entity.allowed(online_).has(number) && take(number, entity);
        });
    else // what it may have now is another question for those who were bound to it
        serve([&](Sched_entity& entity) { return find_cpu(entity); });
}

// Those who wait, in the order in which they came; who is served has a CPU now.
template <class Served>
void Null_policy::serve(Served served)
{
    Heap_queue others;
    while (!waiting_.empty()) {
        auto& entity = static_cast<Sched_entity&>(*waiting_.top());
        waiting_.remove(entity);
        if (!served(entity))
            others.insert(entity);
    }
    waiting_ = others;
}

void Null_policy::add(Sched_entity& entity)
{
    const u32 cpu = entity.allowed(online_).next(0);
    entity.cpu.store(cpu == Cpu_set::kNone ? 0 : cpu, std::memory_order_relaxed);
    entity.group.members.fetch_add(1, std::memory_order_relaxed);
    entity.policy.store(this);
}

void Null_policy::remove(Sched_entity& entity)
{
    const Lock_guard guard(assignment_);
    entity.policy.store(nullptr);
    if (owns_cpu(entity)) {
        const u32 number = entity.cpu.load(std::memory_order_relaxed);
        {
            const Lock_guard cpu_guard(cpus_[number].lock);
            cpus_[number].owner = nullptr;
        }
        serve([&](Sched_entity& other) { return other.allowed(online_).has(number) && take(number, other); });
    } else if (entity.state == State::queued) {
        waiting_.remove(entity);
    }
    entity.state = State::off;
    entity.group.members.fetch_sub(1, std::memory_order_relaxed);
}

void Null_policy::update(Sched_entity& entity, Time now)
{
    if (kick_owned(entity, false)) [[likely]]
        return;
    const Lock_guard guard(assignment_);
    place(entity, now);
}

void Null_policy::changed(Sched_entity& entity, Time now)
{
    if (kick_owned(entity, true))
        return;
    const Lock_guard guard(assignment_);
    place(entity, now);
}

Sched_decision Null_policy::decide(u32 number, Time now)
{
    Null_cpu& cpu = cpus_[number];
    for (;;) {
        {
            const Lock_guard guard(cpu.lock);
            Sched_entity* const owner = cpu.owner;
            if (!owner)
                return {nullptr, kNever};
            if (may_keep(number, *owner)) [[likely]] {
                const bool runs = host_.wants_cpu(*owner);
                host_.enter(*owner, runs ? State::running : State::off, now);
                return {runs ? owner : nullptr, kNever};
            }
        }
        const Lock_guard guard(assignment_);
        vacate(number, now);
    }
}

// Whoever runs elsewhere because this was not there looks again, too.
void Null_policy::cpu_online(u32 number, const Cpu_neighbours&, Time)
{
    const Lock_guard guard(assignment_);
    {
        const Lock_guard cpu_guard(cpus_[number].lock);
        cpus_[number].online = true;
        online_.add(number);
    }
    serve([&](Sched_entity& entity) { return entity.allowed(online_).has(number) && take(number, entity); });
    online_.load().for_each([&](u32 cpu) { host_.kick(cpu, Sched_host::Look::again); });
}

// Its owner goes with the next decision. One without an owner had nobody who waited for it.
void Null_policy::cpu_offline(u32 number, Time)
{
    const Lock_guard guard(cpus_[number].lock);
    cpus_[number].online = false;
    online_.remove(number);
    host_.kick(number, Sched_host::Look::again);
}

} // namespace vmm
