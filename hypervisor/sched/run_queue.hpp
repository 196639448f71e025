// SPDX-License-Identifier: Apache-2.0
//
// The scheduling policy of one CPU: proportional share by weight. Each entity collects virtual time as it
// runs, slower the heavier it is, and the one with the least runs next. Who sleeps keeps a small credit, so
// that I/O-bound vCPUs get the CPU soon after they wake, but cannot save up more than kWakeCredit. A pure
// object over the times it is given: no clock, no hardware, no locks of its own.
#pragma once

#include "base/types.hpp"

namespace vmm
{

inline constexpr u32 kDefaultWeight = 256;

// What the policy keeps of each vCPU. It sees only this, never the vCPU, so that a simulator can drive it
// with entities of its own.
struct Sched_entity {
    u32 weight       = kDefaultWeight;
    u64 virtual_time = 0;       // nanoseconds of CPU used, scaled by kDefaultWeight / weight
    Time started{};             // when it last got the CPU
    u64 hard_affinity  = ~0ull; // CPUs it may, and would rather, run on
    u64 soft_affinity  = ~0ull;
    bool queued        = false;
    bool blocked       = false;   // waits for an event (HLT, SCHEDOP_poll)
    void* owner        = nullptr; // whoever embeds it
    Sched_entity* next = nullptr;
    Sched_entity* prev = nullptr;
};

class Run_queue
{
  public:
    static constexpr u64 kSlice       = 10'000'000; // ns, while somebody waits
    static constexpr u64 kWakeCredit  = 5'000'000;  // ns of virtual time
    static constexpr u64 kGranularity = 500'000;    // ns a waker must be ahead to preempt

    // Became runnable after a sleep. Charge who runs first, so that time stands where it is.
    void wake(Sched_entity& entity);
    // Lost the CPU, still runnable.
    void put_back(Sched_entity& entity) { insert(entity); }
    void remove(Sched_entity& entity);
    // The one to run next, no longer queued; nullptr when nobody wants to.
    Sched_entity* take_next();

    // `entity` got the CPU, and lost it or was looked at again.
    static void start(Sched_entity& entity, Time now) { entity.started = now; }
    void charge(Sched_entity& entity, Time now);
    // Gives up its turn: behind everybody who waits now.
    void step_back(Sched_entity& entity) const;

    // Whether somebody who waits should get the CPU at once instead of `running`, charged up to now.
    [[nodiscard]] bool preempts(const Sched_entity& running) const;
    [[nodiscard]] bool empty() const { return head_ == nullptr; }

  private:
    void insert(Sched_entity& entity);

    Sched_entity* head_ = nullptr; // ascending virtual time
    Sched_entity* tail_ = nullptr;
    u64 floor_          = 0; // the least virtual time of who runs and who waits; never goes back
};

} // namespace vmm
