// SPDX-License-Identifier: Apache-2.0
//
// The scheduling policy of one CPU: proportional share by weight. Each entity collects virtual time as it
// runs, slower the heavier it is, and the one with the least runs next. Who sleeps keeps a small credit, so
// that I/O-bound vCPUs get the CPU soon after they wake, but cannot save up more than kWakeCredit. A pure
// object over the times it is given: no clock, no hardware, no locks of its own.
#pragma once

#include "sched/entity.hpp"

namespace vmm
{

class Run_queue
{
  public:
    static constexpr u64 kSlice       = 10'000'000; // ns, while somebody waits
    static constexpr u64 kWakeCredit  = 5'000'000;  // ns of virtual time
    static constexpr u64 kGranularity = 500'000;    // ns a waker must be ahead to preempt

    // Became runnable after a sleep. Charge who runs first, so that time stands where it is.
    void wake(Sched_entity& entity);
    // Lost the CPU, still runnable.
    void put_back(Sched_entity& entity);
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
