// SPDX-License-Identifier: Apache-2.0
#include "sched/core_policy.hpp"

namespace vmm
{
namespace
{

Sched_unit& unit_of(const Sched_entity& entity) { return *static_cast<Sched_unit*>(entity.owner); }

template <class Visit>
void for_each_member(const Sched_unit& unit, Visit visit)
{
    for (const auto& member : unit.members) {
        if (Sched_entity* const entity = member.load(std::memory_order_relaxed))
            visit(*entity);
    }
}

} // namespace

bool Core_policy::wants_cpu(const Sched_entity& unit)
{
    bool any = false;
    for_each_member(unit_of(unit), [&](const Sched_entity& member) { any |= host_.wants_cpu(member); });
    return any;
}

bool Core_policy::is_up(const Sched_entity& unit)
{
    bool any = false;
    for_each_member(unit_of(unit), [&](const Sched_entity& member) { any |= host_.is_up(member); });
    return any;
}

void Core_policy::no_cpu_for(const Sched_entity& unit)
{
    for_each_member(unit_of(unit), [&](const Sched_entity& member) {
        if (host_.wants_cpu(member))
            host_.no_cpu_for(member);
    });
}

// Of the other policy, with its locks held: the threads come to see for themselves.
void Core_policy::kick(u32 core, Look look)
{
    if (look == Look::again)
        cores_[core].again.store(true);
    kick_threads(cores_[core], look);
}

void Core_policy::kick_threads(const Core_state& core, Look look)
{
    core.threads.load().for_each([&](u32 cpu) { host_.kick(cpu, look); });
}

void Core_policy::kick_threads_but(const Core_state& core, u32 cpu)
{
    core.threads.load().without(cpu).for_each([&](u32 other) { host_.kick(other, Look::again); });
}

// Its state where it has no thread, or no longer one.
void Core_policy::settle(Sched_entity& entity, Time now)
{
    host_.enter(entity, host_.wants_cpu(entity) ? State::queued : State::off, now);
}

void Core_policy::put_on_thread(Sched_entity& entity, u32 cpu, Time now)
{
    const Lock_guard guard(entity.unit->lock);
    entity.cpu.store(cpu, std::memory_order_relaxed);
    host_.enter(entity, State::running, now);
}

// Where all of its vCPUs may run; where there is no such core, anywhere.
void Core_policy::place_unit(Sched_unit& unit)
{
    const auto cores_with = [&](const Cpu_set& cpus) {
        Cpu_set cores;
        for (u32 cpu = 0; cpu < cores_.size(); ++cpu) {
            if (cpus.has(cpu))
                cores = cores.with(cores_[cpu].core);
        }
        return cores;
    };
    Cpu_set hard = Cpu_set::all();
    Cpu_set soft = Cpu_set::all();
    for_each_member(unit, [&](const Sched_entity& member) {
        hard = hard & cores_with(member.hard_affinity.load());
        soft = soft & cores_with(member.soft_affinity.load());
    });
    unit.entity.hard_affinity.store(hard.any() ? hard : Cpu_set::all());
    unit.entity.soft_affinity.store(soft.any() ? soft : Cpu_set::all());
}

void Core_policy::add(Sched_entity& entity)
{
    Sched_unit& unit = *entity.unit;
    bool first       = true;
    for_each_member(unit, [&](const Sched_entity&) { first = false; });
    for (auto& place : unit.members) {
        if (place.load(std::memory_order_relaxed) == nullptr) {
            place.store(&entity, std::memory_order_relaxed);
            break;
        }
    }
    place_unit(unit);
    if (first)
        policy_.add(unit.entity);
    entity.cpu.store(unit.entity.cpu.load(std::memory_order_relaxed), std::memory_order_relaxed);
    entity.policy.store(this);
}

void Core_policy::remove(Sched_entity& entity)
{
    Sched_unit& unit = *entity.unit;
    bool last        = true;
    {
        const Lock_guard guard(unit.lock);
        entity.policy.store(nullptr);
        entity.state = State::off;
    }
    for (auto& place : unit.members) {
        if (place.load(std::memory_order_relaxed) == &entity)
            place.store(nullptr, std::memory_order_relaxed);
        last &= place.load(std::memory_order_relaxed) == nullptr;
    }
    if (!last)
        return;
    while (has_core(unit)) // whose last thread has just come out, and is about to decide
        __builtin_ia32_pause();
    policy_.remove(unit.entity);
}

bool Core_policy::has_core(const Sched_unit& unit)
{
    Core_state& core = cores_[unit.entity.cpu.load(std::memory_order_relaxed)];
    const Lock_guard guard(core.lock);
    return core.unit == &unit;
}

// The other policy learns of the unit; a core that has it already, of the one vCPU. A thread that takes the
// unit from now on looks itself.
void Core_policy::update(Sched_entity& entity, Time now)
{
    Sched_unit& unit = *entity.unit;
    {
        const Lock_guard guard(unit.lock);
        if (!entity.is_of(*this))
            return;
        if (entity.state != State::running)
            settle(entity, now);
    }
    policy_.update(unit.entity, now);
    Core_state& core = cores_[unit.entity.cpu.load(std::memory_order_relaxed)];
    const Lock_guard guard(core.lock);
    if (core.unit == &unit && host_.wants_cpu(entity) != has_thread(core, entity))
        kick_threads(core, Look::again);
}

void Core_policy::changed(Sched_entity& entity, Time now)
{
    place_unit(*entity.unit);
    policy_.changed(entity.unit->entity, now);
    update(entity, now);
}

bool Core_policy::is_switch_due(const Core_state& core, u32 number, Time now)
{
    return core.again.load() || !core.unit || !wants_cpu(core.unit->entity) || policy_.until(number) <= now;
}

bool Core_policy::others_are_out(const Core_state& core, u32 cpu) const
{
    bool out = true;
    core.threads.load().for_each([&](u32 other) { out &= other == cpu || cores_[other].has == nullptr; });
    return out;
}

bool Core_policy::has_thread(const Core_state& core, const Sched_entity& entity) const
{
    bool any = false;
    core.threads.load().for_each([&](u32 cpu) { any |= cores_[cpu].has == &entity; });
    return any;
}

// It wants a thread and has none, and this one will do.
bool Core_policy::waits_for(const Core_state& core, const Sched_entity& entity, u32 cpu)
{
    const Cpu_set bound = entity.hard_affinity.load() & core.threads.load();
    return (!bound.any() || bound.has(cpu)) && host_.wants_cpu(entity) && !has_thread(core, entity);
}

// Rather one that was here before, but not the one whose turn is over. Where there are more of them than
// threads, the one whose turn was longest ago: the unit may not have the core for a whole turn.
Sched_entity* Core_policy::choose(const Core_state& core, u32 cpu, const Sched_entity* last)
{
    u32 wanting = 0;
    for_each_member(*core.unit, [&](const Sched_entity& member) { wanting += host_.wants_cpu(member); });
    const bool crowded = wanting > core.threads.load().count();
    Sched_entity* best = nullptr;
    unsigned best_rank = 0;
    for_each_member(*core.unit, [&](Sched_entity& member) {
        if (!waits_for(core, member, cpu))
            return;
        const bool known    = member.cpu.load(std::memory_order_relaxed) == cpu;
        const unsigned rank = &member == last ? 1 : known || crowded ? 3 : 2;
        if (rank > best_rank || (crowded && rank == best_rank && member.started < best->started)) {
            best      = &member;
            best_rank = rank;
        }
    });
    return best;
}

bool Core_policy::somebody_waits_for(const Core_state& core, u32 cpu)
{
    bool any = false;
    if (core.unit)
        for_each_member(*core.unit, [&](const Sched_entity& member) { any |= waits_for(core, member, cpu); });
    return any;
}

// A vCPU of the core's unit for this thread. One that idles needs no timer while its sibling has one.
Sched_decision Core_policy::fill(const Core_state& core, u32 cpu, const Sched_entity* last, Time now)
{
    Core_state& thread   = cores_[cpu];
    const bool stays     = core.threads.has(cpu);
    const Time until     = stays ? policy_.until(thread.core) : kNever;
    Sched_entity* chosen = core.unit && stays ? choose(core, cpu, last) : nullptr;
    thread.has           = chosen;
    thread.turn_ends     = kNever;
    if (!chosen)
        return {nullptr, core.unit ? kNever : until};
    chosen->started = now;
    put_on_thread(*chosen, cpu, now);
    if (somebody_waits_for(core, cpu))
        thread.turn_ends = now + kTurn;
    return {chosen, std::min(until, thread.turn_ends)};
}

Sched_decision Core_policy::decide(u32 cpu, Time now)
{
    Core_state& thread = cores_[cpu];
    Core_state& core   = cores_[thread.core];
    const Lock_guard guard(core.lock);
    const bool switches      = is_switch_due(core, thread.core, now);
    Sched_entity* const last = std::exchange(thread.has, nullptr);
    if (last && !switches && core.threads.has(cpu) && thread.turn_ends > now && host_.wants_cpu(*last)) {
        thread.has = last;
        if (thread.turn_ends == kNever && somebody_waits_for(core, cpu))
            thread.turn_ends = now + kTurn;
        return {last, std::min(policy_.until(thread.core), thread.turn_ends)};
    }
    // Where this CPU leaves the core, a sibling may have taken it over already.
    if (last && !has_thread(core, *last)) {
        const Lock_guard unit_guard(last->unit->lock);
        settle(*last, now);
    }
    if (switches) {
        if (!others_are_out(core, cpu)) {
            kick_threads_but(core, cpu);
            return {nullptr, kNever};
        }
        core.again.store(false);
        Sched_entity* const next = policy_.decide(thread.core, now).next;
        core.unit                = next ? &unit_of(*next) : nullptr;
        if (core.unit)
            kick_threads_but(core, cpu);
    }
    return fill(core, cpu, last, now);
}

bool Core_policy::yield(u32 cpu, Time now)
{
    Core_state& thread = cores_[cpu];
    Core_state& core   = cores_[thread.core];
    const Lock_guard guard(core.lock);
    if (somebody_waits_for(core, cpu)) {
        thread.turn_ends = now;
        return true;
    }
    // The unit gives way when all of it does.
    if (!others_are_out(core, cpu) || !policy_.yield(thread.core, now))
        return false;
    core.again.store(true);
    return true;
}

bool Core_policy::yield_to(u32 cpu, Sched_entity& target, Time now)
{
    Core_state& thread = cores_[cpu];
    Core_state& core   = cores_[thread.core];
    const Lock_guard guard(core.lock);
    if (target.unit == core.unit) {
        if (!waits_for(core, target, cpu))
            return false;
        thread.turn_ends = now;
        return true;
    }
    if (!policy_.yield_to(thread.core, target.unit->entity, now))
        return false;
    core.again.store(true);
    return true;
}

void Core_policy::cpu_online(u32 cpu, const Cpu_neighbours& neighbours, Time now)
{
    const u32 number = neighbours.core.next(0);
    cores_[cpu].core = number;
    Core_state& core = cores_[number];
    const Lock_guard guard(core.lock);
    const bool first = !core.threads.load().any();
    core.threads.add(cpu);
    if (first)
        policy_.cpu_online(number, {Cpu_set::only(number), neighbours.cache}, now);
    else
        kick_threads(core, Look::again);
}

// The core's last thread takes the core with it.
void Core_policy::cpu_offline(u32 cpu, Time now)
{
    const u32 number = cores_[cpu].core;
    Core_state& core = cores_[number];
    const Lock_guard guard(core.lock);
    core.threads.remove(cpu);
    if (!core.threads.load().any())
        policy_.cpu_offline(number, now);
    kick_threads(core, Look::again);
    host_.kick(cpu, Look::again);
}

} // namespace vmm
