// SPDX-License-Identifier: Apache-2.0
//
// Where vCPUs go: to an idle CPU near the one they know, or from a CPU that has more than its share of the
// weight to one that has less. Looking is without locks and may err; what was found is checked under the
// lock.
#include "sched/fair_policy.hpp"

namespace vmm
{
namespace
{

constexpr u64 kLevelled      = 100'000'000; // ns of virtual time that queues may be apart and still compare
constexpr unsigned kAttempts = 4;

u32 throw_dice(u32& state, std::size_t sides)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % static_cast<u32>(sides);
}

s64 lead_of(const Cpu_queue& queue, const Cpu_queue& over)
{
    return static_cast<s64>(queue.floor + queue.line - over.floor - over.line);
}

bool is_idle(const Cpu_queue& queue) { return queue.running == nullptr && queue.waiting.empty(); }

} // namespace

// Where no CPU may be used at all, it waits where it is.
bool Fair_policy::may_stay(const Sched_entity& entity, u32 cpu) const
{
    if (is_only_cpu(cpu))
        return true;
    const Cpu_set may = entity.allowed(online_);
    return may.has(cpu) || !may.any();
}

// Rather one whose whole core is idle, of each kind the nearest.
u32 Fair_policy::idle_among(const Cpu_set& idle, u32 home) const
{
    const Cpu_set near    = idle & queues_[home].cache.load();
    const auto whole_core = [&](Cpu_set set) {
        u32 cpu = set.next(home);
        for (; cpu != Cpu_set::kNone; set = set.without(cpu), cpu = set.next(home)) {
            const Cpu_set core = queues_[cpu].core.load();
            if ((idle_.load() & core) == core)
                break;
        }
        return cpu;
    };
    if (const u32 cpu = whole_core(near); cpu != Cpu_set::kNone)
        return cpu;
    if (near.any())
        return near.next(home);
    const u32 cpu = whole_core(idle);
    return cpu != Cpu_set::kNone ? cpu : idle.next(home);
}

u32 Fair_policy::idle_cpu_for(const Sched_entity& entity, u32 home, const Cpu_set& may) const
{
    const Cpu_set idle = idle_.load() & may;
    if (!idle.any())
        return Cpu_set::kNone;
    const Cpu_set liked = idle & entity.soft_affinity.load();
    return idle_among(liked.any() ? liked : idle, home);
}

// Looks at two: one near, one anywhere.
u32 Fair_policy::lighter_cpu_for(const Sched_entity& entity, u32 home, const Cpu_set& may)
{
    Cpu_queue& queue     = queues_[home];
    const Cpu_set liked  = may & entity.soft_affinity.load();
    const Cpu_set others = (liked.any() ? liked : may).without(home);
    const u32 far        = others.next(throw_dice(queue.dice, queues_.size()));
    if (far == Cpu_set::kNone)
        return far;
    const u32 near = (others & queue.cache.load()).next(throw_dice(queue.dice, queues_.size()));
    if (near == Cpu_set::kNone)
        return far;
    const auto load = [&](u32 cpu) { return queues_[cpu].load.load(std::memory_order_relaxed); };
    if (load(far) == load(near))
        return throw_dice(queue.dice, 2) == 0 ? far : near;
    return load(far) < load(near) ? far : near;
}

// Both are locked. Less weight there, or no more but its virtual time runs ahead: then it is our turn to
// enjoy that, until the same is said of us.
bool Fair_policy::is_better(const Sched_entity& entity, u32 home, u32 cpu, Time now)
{
    Cpu_queue& here  = queues_[home];
    Cpu_queue& there = queues_[cpu];
    const u32 weight = entity.group.weight.load(std::memory_order_relaxed);
    const u32 rest   = here.load.load(std::memory_order_relaxed) - entity.counted;
    const u32 load   = there.load.load(std::memory_order_relaxed);
    if (load + weight / 2 <= rest)
        return true;
    const Cpu_set liked = entity.soft_affinity.load();
    if (liked.has(cpu) && !liked.has(home))
        return load <= rest;
    charge(there, now);
    const s64 lead  = lead_of(there, here);
    const u64 turn  = scaled(slice(here), entity.scale);
    const s64 limit = static_cast<s64>(turn * (here.cache.has(cpu) ? 2 : 4));
    if (lead > limit + static_cast<s64>(kLevelled) || lead < -limit - static_cast<s64>(kLevelled)) {
        here.line += static_cast<u64>(lead);
        return false;
    }
    return lead > limit && load < rest + weight;
}

// Both are locked; it is in neither's queue.
void Fair_policy::hand_over(u32 home, u32 cpu, Sched_entity& entity)
{
    Cpu_queue& from = queues_[home];
    Cpu_queue& to   = queues_[cpu];
    if (is_idle(to))
        to.line = from.floor + from.line - to.floor;
    entity.virtual_time += from.line - to.line;
    const u64 least = to.floor - (entity.state == State::off ? kWakeCredit : kLevelled);
    if (Heap_queue::before(entity.virtual_time, least))
        entity.virtual_time = least;
    from.load.fetch_sub(entity.counted, std::memory_order_relaxed);
    to.load.fetch_add(entity.counted, std::memory_order_relaxed);
    entity.cpu.store(cpu, std::memory_order_relaxed);
}

// True: it is queued where it is better off, or where it has to be.
bool Fair_policy::move_elsewhere(u32 home, Sched_entity& entity, Time now)
{
    const Cpu_set may    = entity.allowed(online_);
    const bool must_move = !may.has(home);
    u32 cpu              = idle_cpu_for(entity, home, may);
    const bool idle      = cpu != Cpu_set::kNone;
    if (cpu == Cpu_set::kNone)
        cpu = lighter_cpu_for(entity, home, may);
    if (cpu == Cpu_set::kNone || cpu == home || !queues_[cpu].lock.try_lock())
        return false;
    const bool go = queues_[cpu].online &&
                    (must_move || (idle ? is_idle(queues_[cpu]) : is_better(entity, home, cpu, now)));
    if (go) {
        hand_over(home, cpu, entity);
        enqueue(cpu, entity, now);
        notify(cpu, entity, now);
    }
    queues_[cpu].lock.unlock();
    return go;
}

// For a CPU that would be idle: somebody who waits elsewhere, rather near. Locked here, queued nowhere.
Sched_entity* Fair_policy::steal(u32 cpu, Time now)
{
    Cpu_set victims = crowded_.load().without(cpu);
    for (unsigned attempt = 0; attempt < kAttempts && victims.any(); ++attempt) {
        const Cpu_set near = victims & queues_[cpu].cache.load();
        const u32 victim = (near.any() ? near : victims).next(throw_dice(queues_[cpu].dice, queues_.size()));
        victims          = victims.without(victim);
        if (Sched_entity* entity = steal_from(cpu, victim, now))
            return entity;
    }
    return nullptr;
}

Sched_entity* Fair_policy::steal_from(u32 cpu, u32 victim, Time now)
{
    Cpu_queue& from = queues_[victim];
    if (!from.lock.try_lock())
        return nullptr;
    charge(from, now);
    auto* entity = static_cast<Sched_entity*>(from.waiting.find_near_top(
        [&](Heap_queue::Node& node) { return static_cast<Sched_entity&>(node).allowed(online_).has(cpu); }));
    if (entity) {
        dequeue(victim, *entity);
        hand_over(victim, cpu, *entity);
    }
    from.lock.unlock();
    return entity;
}

} // namespace vmm
