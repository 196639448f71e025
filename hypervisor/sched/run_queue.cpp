// SPDX-License-Identifier: Apache-2.0
#include "sched/run_queue.hpp"

#include <algorithm>

namespace vmm
{

void Run_queue::wake(Sched_entity& entity)
{
    const u64 least     = floor_ > kWakeCredit ? floor_ - kWakeCredit : 0;
    entity.virtual_time = std::max(entity.virtual_time, least);
    insert(entity);
}

// Walks from the end: who comes back after a slice usually belongs there.
void Run_queue::insert(Sched_entity& entity)
{
    Sched_entity* after = tail_;
    while (after && after->virtual_time > entity.virtual_time)
        after = after->prev;
    entity.prev                               = after;
    entity.next                               = after ? after->next : head_;
    (entity.next ? entity.next->prev : tail_) = &entity;
    (after ? after->next : head_)             = &entity;
    entity.queued                             = true;
}

void Run_queue::remove(Sched_entity& entity)
{
    if (!entity.queued)
        return;
    (entity.prev ? entity.prev->next : head_) = entity.next;
    (entity.next ? entity.next->prev : tail_) = entity.prev;
    entity.next = entity.prev = nullptr;
    entity.queued             = false;
}

Sched_entity* Run_queue::take_next()
{
    Sched_entity* next = head_;
    if (next)
        remove(*next);
    return next;
}

void Run_queue::charge(Sched_entity& entity, Time now)
{
    const u64 ran = now - entity.started;
    entity.virtual_time += entity.weight == kDefaultWeight ? ran : ran * kDefaultWeight / entity.weight;
    entity.started  = now;
    const u64 least = head_ ? std::min(entity.virtual_time, head_->virtual_time) : entity.virtual_time;
    floor_          = std::max(floor_, least);
}

void Run_queue::step_back(Sched_entity& entity) const
{
    if (tail_)
        entity.virtual_time = std::max(entity.virtual_time, tail_->virtual_time);
}

bool Run_queue::preempts(const Sched_entity& running) const
{
    return head_ && head_->virtual_time + kGranularity < running.virtual_time;
}

} // namespace vmm
