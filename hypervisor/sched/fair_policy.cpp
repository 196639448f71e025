// SPDX-License-Identifier: Apache-2.0
//
// What happens in the queue of one CPU. Where vCPUs go: placement.cpp.
#include "sched/fair_policy.hpp"

namespace vmm
{
namespace
{

constexpr unsigned kScaleShift = 24;

bool before(u64 a, u64 b) { return Heap_queue::before(a, b); }
u64 later(u64 a, u64 b) { return before(a, b) ? b : a; }

Sched_entity* entity_of(Heap_queue::Node* node) { return static_cast<Sched_entity*>(node); }

} // namespace

u64 Fair_policy::scaled(u64 ns, u64 scale)
{
    return static_cast<u64>(static_cast<unsigned __int128>(ns) * scale >> kScaleShift);
}

u32 Fair_policy::lock_queue_of(const Sched_entity& entity)
{
    for (;;) {
        const u32 cpu = entity.cpu.load(std::memory_order_relaxed);
        queues_[cpu].lock.lock();
        if (entity.cpu.load(std::memory_order_relaxed) == cpu) [[likely]]
            return cpu;
        queues_[cpu].lock.unlock();
    }
}

// Of the time since what runs began, what it can have used itself: its turn, and a little more. When a turn
// ends much too late, whoever runs beneath us (another hypervisor, an emulator, firmware) had the CPU.
u64 Fair_policy::own_time(const Cpu_queue& queue, u64 ran)
{
    const Time until   = queue.until.load(std::memory_order_relaxed);
    const Time started = queue.running->started;
    return until == kNever ? ran : std::min(ran, (until > started ? until - started : 0) + kLate);
}

// What runs has used its time up to now.
void Fair_policy::charge(Cpu_queue& queue, Time now)
{
    u64 least = queue.waiting.empty() ? 0 : queue.waiting.top()->key;
    if (Sched_entity* e = queue.running) {
        u64 ran = now > e->started ? now - e->started : 0;
        if (ran > kLongest + kLate) [[unlikely]]
            ran = own_time(queue, ran);
        e->virtual_time += scaled(ran, e->scale);
        e->started = now;
        if (e->portion) [[unlikely]]
            *e->portion -= static_cast<s64>(ran);
        least = queue.waiting.empty() || before(e->virtual_time, least) ? e->virtual_time : least;
    } else if (queue.waiting.empty()) {
        return;
    }
    queue.floor = later(queue.floor, least);
}

u64 Fair_policy::slice(const Cpu_queue& queue)
{
    return std::clamp(kRound / (queue.count + 1), kShortest, kLongest);
}

void Fair_policy::enqueue(u32 cpu, Sched_entity& entity, Time now)
{
    Cpu_queue& queue = queues_[cpu];
    entity.key       = entity.virtual_time;
    queue.waiting.insert(entity);
    if (queue.count++ == 0 && idle_.has(cpu))
        idle_.remove(cpu);
    note_crowd(cpu);
    const u32 weight = entity.group.weight.load(std::memory_order_relaxed);
    if (entity.counted != weight)
        queue.load.fetch_add(weight - std::exchange(entity.counted, weight), std::memory_order_relaxed);
    host_.enter(entity, State::queued, now);
}

void Fair_policy::dequeue(u32 cpu, Sched_entity& entity)
{
    Cpu_queue& queue = queues_[cpu];
    queue.waiting.remove(entity);
    --queue.count;
    note_crowd(cpu);
}

// The first who waits for a CPU that has nobody is not there for others to take: that CPU is about to.
void Fair_policy::note_crowd(u32 cpu)
{
    const Cpu_queue& queue = queues_[cpu];
    const bool crowded     = queue.count > (queue.running || !queue.online ? 0 : 1);
    if (crowded == crowded_.has(cpu))
        return;
    if (crowded)
        crowded_.add(cpu);
    else
        crowded_.remove(cpu);
}

// Neither runs nor waits here any longer.
void Fair_policy::leave(u32 cpu, Sched_entity& entity, State to, Time now)
{
    queues_[cpu].load.fetch_sub(entity.counted, std::memory_order_relaxed);
    entity.counted = 0;
    host_.enter(entity, to, now);
}

void Fair_policy::release_parked(u32 cpu, Time now)
{
    Cpu_queue& queue = queues_[cpu];
    while (!queue.parked.empty() && !before(now.value(), queue.parked.top()->key)) {
        Sched_entity& entity = *entity_of(queue.parked.top());
        queue.parked.remove(entity);
        entity.state        = State::off;
        entity.virtual_time = later(entity.virtual_time, queue.floor - kWakeCredit);
        if (queue.waiting.empty() || !move_elsewhere(cpu, entity, now))
            enqueue(cpu, entity, now);
    }
}

// Unless the cap allows no more; then it is parked.
void Fair_policy::start(u32 cpu, Sched_entity& entity, Time now)
{
    Cpu_queue& queue = queues_[cpu];
    if (entity.group.cap.limits()) [[unlikely]] {
        const s64 portion = entity.group.cap.take(now, entity.group.members.load(std::memory_order_relaxed));
        if (portion == 0) {
            leave(cpu, entity, State::parked, now);
            entity.key = entity.group.cap.refill().value();
            queue.parked.insert(entity);
            return;
        }
        entity.portion = portion;
    }
    const u32 weight = entity.group.weight.load(std::memory_order_relaxed);
    entity.scale =
        weight == kDefaultWeight ? u64{1} << kScaleShift : (u64{kDefaultWeight} << kScaleShift) / weight;
    entity.started = now;
    queue.running  = &entity;
    host_.enter(entity, State::running, now);
}

// It had the CPU: if it wants it still, it is queued here, or where it would be better off.
void Fair_policy::stand_in_line(u32 cpu, Sched_entity& entity, Time now)
{
    Cpu_queue& queue = queues_[cpu];
    if (queue.gives_way && !queue.waiting.empty())
        entity.virtual_time = later(entity.virtual_time, queue.waiting.top()->key + 1);
    while (host_.wants_cpu(entity)) {
        const bool may = may_stay(entity, cpu);
        if ((!may || !queue.waiting.empty()) && move_elsewhere(cpu, entity, now))
            return;
        if (may)
            return enqueue(cpu, entity, now);
        queue.lock.unlock(); // whoever has the lock of the queue where it must go may want ours
        __builtin_ia32_pause();
        queue.lock.lock();
    }
    leave(cpu, entity, State::off, now);
}

// Somebody was queued: what runs keeps the CPU at most for a slice, or for what is left of a short turn.
void Fair_policy::notify(u32 cpu, const Sched_entity& arrived, Time now)
{
    Cpu_queue& queue = queues_[cpu];
    charge(queue, now);
    const bool preempts =
        !queue.running || before(arrived.virtual_time + kGranularity, queue.running->virtual_time);
    const Time end = preempts ? queue.turn_began + kShortTurn : now + slice(queue);
    if (!queue.running || end <= now) {
        host_.kick(cpu, Sched_host::Look::again);
    } else if (queue.until.load(std::memory_order_relaxed) > end) {
        queue.until.store(end, std::memory_order_relaxed);
        host_.kick(cpu, Sched_host::Look::timer);
    }
}

// Out of the line it stands in; it may still want a CPU.
void Fair_policy::take_out(u32 cpu, Sched_entity& entity)
{
    if (entity.state == State::queued)
        dequeue(cpu, entity);
    else if (entity.state == State::parked)
        queues_[cpu].parked.remove(entity);
    queues_[cpu].load.fetch_sub(std::exchange(entity.counted, 0), std::memory_order_relaxed);
    entity.state = State::off;
}

// False: it has to go where the lock is taken just now.
bool Fair_policy::wake(u32 cpu, Sched_entity& entity, Time now)
{
    Cpu_queue& queue = queues_[cpu];
    charge(queue, now);
    entity.virtual_time = later(entity.virtual_time, queue.floor - kWakeCredit);
    if (!is_only_cpu(cpu) && move_elsewhere(cpu, entity, now))
        return true;
    if (!may_stay(entity, cpu))
        return false;
    enqueue(cpu, entity, now);
    notify(cpu, entity, now);
    return true;
}

void Fair_policy::add(Sched_entity& entity)
{
    const u32 cpu = entity.allowed(online_).next(0);
    entity.cpu.store(cpu == Cpu_set::kNone ? 0 : cpu, std::memory_order_relaxed);
    const u32 home      = lock_queue_of(entity);
    entity.virtual_time = queues_[home].floor;
    queues_[home].lock.unlock();
    entity.group.members.fetch_add(1, std::memory_order_relaxed);
    entity.policy.store(this);
}

void Fair_policy::remove(Sched_entity& entity)
{
    const u32 cpu = lock_queue_of(entity);
    entity.policy.store(nullptr);
    take_out(cpu, entity);
    queues_[cpu].lock.unlock();
    entity.group.members.fetch_sub(1, std::memory_order_relaxed);
}

void Fair_policy::update(Sched_entity& entity, Time now)
{
    for (bool done = false; !done;) {
        const u32 cpu = lock_queue_of(entity);
        done          = !entity.is_of(*this);
        // When it has just come, that queue may be the one of its time before: add() says where it is first.
        if (done || entity.cpu.load(std::memory_order_relaxed) != cpu) [[unlikely]] {
            queues_[cpu].lock.unlock();
            continue;
        }
        const bool wants = host_.wants_cpu(entity);
        done             = true;
        if (wants && entity.state == State::off)
            done = wake(cpu, entity, now);
        else if (!wants && entity.state == State::running)
            host_.kick(cpu, Sched_host::Look::again);
        else if (!wants && entity.state != State::off) {
            take_out(cpu, entity);
            host_.state_changed(entity, now);
        }
        queues_[cpu].lock.unlock();
    }
}

// Whoever waits comes anew; whoever runs, at the next decision.
void Fair_policy::changed(Sched_entity& entity, Time now)
{
    const u32 cpu = lock_queue_of(entity);
    if (entity.state == State::running)
        host_.kick(cpu, Sched_host::Look::again);
    else
        take_out(cpu, entity);
    queues_[cpu].lock.unlock();
    update(entity, now);
}

Time Fair_policy::deadline(const Cpu_queue& queue, Time now) const
{
    Time until = queue.parked.empty() ? kNever : Time(queue.parked.top()->key);
    if (queue.running && queue.count != 0)
        until = std::min(until, now + slice(queue));
    if (queue.running && queue.running->portion) [[unlikely]]
        until = std::min(until, now + static_cast<u64>(*queue.running->portion));
    return until;
}

// Nobody else wants the CPU, and nothing about the one that runs has changed.
bool Fair_policy::goes_on(u32 cpu)
{
    Cpu_queue& queue            = queues_[cpu];
    const Sched_entity* const e = queue.running;
    if (!e || !queue.waiting.empty() || !queue.parked.empty() || e->portion || e->group.cap.limits() ||
        e->counted != e->group.weight.load(std::memory_order_relaxed) || !host_.wants_cpu(*e) ||
        !queue.online || !may_stay(*e, cpu))
        return false;
    queue.until.store(kNever, std::memory_order_relaxed);
    queue.gives_way = false;
    return true;
}

Sched_decision Fair_policy::decide(u32 cpu, Time now)
{
    Cpu_queue& queue = queues_[cpu];
    const Lock_guard guard(queue.lock);
    charge(queue, now);
    if (goes_on(cpu)) [[likely]]
        return {queue.running, kNever};
    Sched_entity* const last = std::exchange(queue.running, nullptr);
    if (last) {
        if (last->portion) [[unlikely]]
            last->group.cap.give_back(*std::exchange(last->portion, std::nullopt));
        stand_in_line(cpu, *last, now);
    }
    queue.gives_way = false;
    if (!queue.parked.empty()) [[unlikely]]
        release_parked(cpu, now);
    while (!queue.running && queue.online) {
        Sched_entity* next = entity_of(queue.waiting.top());
        if (next)
            dequeue(cpu, *next);
        else if (next = steal(cpu, now); !next)
            break;
        start(cpu, *next, now);
    }
    note_crowd(cpu);
    if (queue.running != last)
        queue.turn_began = now;
    if (queue.online && !queue.running)
        idle_.add(cpu);
    else if (idle_.has(cpu))
        idle_.remove(cpu);
    const Time until = deadline(queue, now);
    queue.until.store(until, std::memory_order_relaxed);
    return {queue.running, until};
}

bool Fair_policy::yield(u32 cpu, Time now)
{
    Cpu_queue& queue = queues_[cpu];
    const Lock_guard guard(queue.lock);
    if (queue.waiting.empty())
        return false;
    charge(queue, now);
    queue.gives_way = true;
    return true;
}

// The one that runs and the other change places in virtual time: on the whole nobody gains. On another CPU
// the other gets time that is its neighbours' there: it is lent only by one that has some to lose here.
bool Fair_policy::yield_to(u32 cpu, Sched_entity& target, Time now)
{
    const bool can_lend = crowded_.has(cpu);
    const u32 other     = lock_queue_of(target);
    u64 lent            = 0;
    if (target.state == State::queued && (can_lend || other == cpu)) {
        Cpu_queue& queue = queues_[other];
        dequeue(other, target);
        lent = before(queue.floor, target.virtual_time) ? target.virtual_time - queue.floor : 0;
        target.virtual_time -= lent;
        enqueue(other, target, now);
        host_.kick(other, Sched_host::Look::again);
    }
    queues_[other].lock.unlock();
    Cpu_queue& queue = queues_[cpu];
    const Lock_guard guard(queue.lock);
    if (queue.running)
        queue.running->virtual_time += lent;
    charge(queue, now);
    queue.gives_way = !queue.waiting.empty();
    return queue.gives_way;
}

// Who is bound to it and runs elsewhere because it was not there goes back.
void Fair_policy::cpu_online(u32 cpu, const Cpu_neighbours& neighbours, Time)
{
    {
        Cpu_queue& queue = queues_[cpu];
        const Lock_guard guard(queue.lock);
        queue.core.store(neighbours.core);
        queue.cache.store(neighbours.cache);
        queue.dice   = cpu * 2'654'435'761u + 1;
        queue.online = true;
        online_.add(cpu);
        online_count_.fetch_add(1, std::memory_order_relaxed);
    }
    online_.load().for_each([&](u32 other) { host_.kick(other, Sched_host::Look::again); });
}

void Fair_policy::cpu_offline(u32 cpu, Time now)
{
    Cpu_queue& queue = queues_[cpu];
    queue.lock.lock();
    queue.online = false;
    online_.remove(cpu);
    online_count_.fetch_sub(1, std::memory_order_relaxed);
    idle_.remove(cpu);
    host_.kick(cpu, Sched_host::Look::again);
    while (!queue.waiting.empty() || !queue.parked.empty()) {
        Sched_entity& entity = *entity_of((queue.waiting.empty() ? queue.parked : queue.waiting).top());
        take_out(cpu, entity);
        if (move_elsewhere(cpu, entity, now))
            continue;
        enqueue(cpu, entity, now);
        queue.lock.unlock();
        __builtin_ia32_pause();
        queue.lock.lock();
    }
    queue.lock.unlock();
}

} // namespace vmm
