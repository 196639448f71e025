// SPDX-License-Identifier: Apache-2.0
//
// Proportional share by weight. Each vCPU collects virtual time as it runs, slower the heavier it is, and on
// each CPU the one with the least runs next. Who sleeps keeps a small credit, so that I/O-bound vCPUs get the
// CPU as soon as they wake, but cannot save up more than kWakeCredit. Who has just begun is left a short turn
// first: a backend let in for each of many requests would serve them one by one. A CPU that only one vCPU
// wants needs no timer.
//
// The queues of different CPUs count on one line: a CPU whose virtual time runs ahead of another's has less
// weight on it than its share, and gets vCPUs from there until it does not. So shares hold across CPUs even
// where vCPUs cannot be divided evenly among them. Queues that had nothing to do with each other for a while
// are set level first (Cpu_queue::line).
#pragma once

#include "sched/policy.hpp"

#include <span>

namespace vmm
{

// What the policy keeps of each CPU.
struct alignas(64) Cpu_queue {
    Spinlock lock{Lock_rank::scheduler};
    bool online           = false;
    bool gives_way        = false; // what runs here yielded
    Sched_entity* running = nullptr;
    Heap_queue waiting;              // by virtual time
    Heap_queue parked;               // by the time their caps are refilled
    u32 count = 0;                   // waiting
    u32 dice  = 0;                   // state of a generator of random numbers
    u64 floor = 0;                   // the least virtual time of who runs and who waits; never goes back
    u64 line  = 0;                   // added to virtual times here, they compare with those on other CPUs
    std::atomic<Time> until{kNever}; // its CPU reads it without the lock
    Time turn_began{};               // of what runs
    std::atomic<u32> load{0};        // weights of who runs and who waits; others look at it without the lock
    Shared_cpu_set core;             // Cpu_neighbours
    Shared_cpu_set cache;
};

class Fair_policy final : public Policy
{
  public:
    static constexpr u64 kRound      = 20'000'000; // ns in which each of several gets a turn, if slices allow
    static constexpr u64 kShortest   = 1'000'000;  // ns, a slice
    static constexpr u64 kLongest    = 10'000'000;
    static constexpr u64 kShortTurn  = 250'000;   // ns that a waker leaves to who has just begun
    static constexpr u64 kWakeCredit = 5'000'000; // ns of virtual time
    static constexpr u64 kGranularity = 500'000;  // ns of it that a waker must be ahead to preempt
    static constexpr u64 kLate = 10'000'000;      // ns, more than any timer of ours is late by our own doing

    // A queue per CPU there may be, up to Cpu_set::kSize.
    constexpr Fair_policy(Sched_host& host, std::span<Cpu_queue> queues) : host_(host), queues_(queues) {}

    void cpu_online(u32 cpu, const Cpu_neighbours& neighbours, Time now) override;
    void cpu_offline(u32 cpu, Time now) override;
    void add(Sched_entity& entity) override;
    void remove(Sched_entity& entity) override;
    void update(Sched_entity& entity, Time now) override;
    void changed(Sched_entity& entity, Time now) override;
    Sched_decision decide(u32 cpu, Time now) override;
    [[nodiscard]] Time until(u32 cpu) const override
    {
        return queues_[cpu].until.load(std::memory_order_relaxed);
    }
    bool yield(u32 cpu, Time now) override;
    bool yield_to(u32 cpu, Sched_entity& target, Time now) override;

  private:
    using State = Sched_entity::State;

    // Locks the queue an entity belongs to, and says which.
    u32 lock_queue_of(const Sched_entity& entity);

    // In the queue of a CPU, whose lock is held. (fair_policy.cpp)
    static void charge(Cpu_queue& queue, Time now);
    static u64 own_time(const Cpu_queue& queue, u64 ran);
    static u64 slice(const Cpu_queue& queue);
    static u64 scaled(u64 ns, u64 scale);
    void enqueue(u32 cpu, Sched_entity& entity, Time now);
    void dequeue(u32 cpu, Sched_entity& entity);
    void note_crowd(u32 cpu);
    void leave(u32 cpu, Sched_entity& entity, Sched_entity::State to, Time now);
    bool goes_on(u32 cpu);
    void release_parked(u32 cpu, Time now);
    void start(u32 cpu, Sched_entity& entity, Time now);
    void stand_in_line(u32 cpu, Sched_entity& entity, Time now);
    void notify(u32 cpu, const Sched_entity& arrived, Time now);
    void take_out(u32 cpu, Sched_entity& entity);
    bool wake(u32 cpu, Sched_entity& entity, Time now);
    [[nodiscard]] Time deadline(const Cpu_queue& queue, Time now) const;

    [[nodiscard]] bool is_only_cpu(u32 cpu) const
    {
        return online_count_.load(std::memory_order_relaxed) == 1 && queues_[cpu].online;
    }
    [[nodiscard]] bool may_stay(const Sched_entity& entity, u32 cpu) const;

    // Which CPU is best, and moving there; `home` is locked, others only if they are free. (placement.cpp)
    [[nodiscard]] u32 idle_cpu_for(const Sched_entity& entity, u32 home, const Cpu_set& may) const;
    [[nodiscard]] u32 idle_among(const Cpu_set& idle, u32 home) const;
    u32 lighter_cpu_for(const Sched_entity& entity, u32 home, const Cpu_set& may);
    bool is_better(const Sched_entity& entity, u32 home, u32 cpu, Time now);
    bool move_elsewhere(u32 home, Sched_entity& entity, Time now);
    void hand_over(u32 home, u32 cpu, Sched_entity& entity);
    Sched_entity* steal(u32 cpu, Time now);
    Sched_entity* steal_from(u32 cpu, u32 victim, Time now);

    Sched_host& host_;
    std::atomic<u32> online_count_{0};
    std::span<Cpu_queue> queues_;
    Shared_cpu_set online_;
    Shared_cpu_set idle_;    // online, nobody runs
    Shared_cpu_set crowded_; // somebody waits behind another
};

} // namespace vmm
