// SPDX-License-Identifier: Apache-2.0
//
// Core scheduling: the threads of a core never run vCPUs of different domains. It stands between the host and
// another policy. To that one a core is one CPU, with the number of the core's first thread, and a unit is
// one vCPU: as many vCPUs of a domain as a core has threads, by their ids. To the host it is a policy for
// threads. When the other policy gives a core to another unit, every thread gives up its vCPU first and
// idles; the last one to do so decides, and each takes a vCPU of the new unit. A thread may idle while its
// sibling runs: that is the price.
//
// Weights and caps count cores. An affinity counts in whole cores; within its core a vCPU runs on a thread of
// its hard affinity, if there is one. More vCPUs than threads, when one of these is offline, take turns.
//
// Locks: one per core (Lock_rank::core), taken before those of the other policy; one per unit for the states
// of its vCPUs (Lock_rank::sched_unit), innermost.
#pragma once

#include "sched/policy.hpp"

#include <span>

namespace vmm
{

// Embedded where its first vCPU is; of the others each points to it (Sched_entity::unit).
struct Sched_unit {
    static constexpr u32 kMost = 4; // threads of a core

    explicit Sched_unit(Sched_group& group) : entity(group, this) {}

    Sched_entity entity; // what the other policy sees
    Spinlock lock{Lock_rank::sched_unit};
    std::array<std::atomic<Sched_entity*>, kMost> members{};
};

// What the policy keeps of each core, in the place of its first thread, and of each thread.
struct alignas(64) Core_state {
    Spinlock lock{Lock_rank::core};
    Sched_unit* unit = nullptr;     // that the other policy has decided for
    std::atomic<bool> again{false}; // that one has something new to say
    Shared_cpu_set threads;         // online

    // Of a thread, under its core's lock.
    std::atomic<u32> core{0}; // the number of its core; read without the lock
    Sched_entity* has = nullptr;
    Time turn_ends{kNever}; // where another vCPU of the unit waits for this one's place
};

class Core_policy final : public Policy, private Sched_host
{
  public:
    static constexpr u64 kTurn = 10'000'000; // ns

    // One of `cores` per CPU there may be. `policy` has `as_host()` for its host.
    constexpr Core_policy(Sched_host& host, Policy& policy, std::span<Core_state> cores)
        : host_(host), policy_(policy), cores_(cores)
    {
    }
    constexpr Sched_host& as_host() { return *this; }

    void cpu_online(u32 cpu, const Cpu_neighbours& neighbours, Time now) override;
    void cpu_offline(u32 cpu, Time now) override;
    void add(Sched_entity& entity) override;
    void remove(Sched_entity& entity) override;
    void update(Sched_entity& entity, Time now) override;
    void changed(Sched_entity& entity, Time now) override;
    Sched_decision decide(u32 cpu, Time now) override;
    [[nodiscard]] Time until(u32 cpu) const override { return policy_.until(cores_[cpu].core); }
    bool yield(u32 cpu, Time now) override;
    bool yield_to(u32 cpu, Sched_entity& target, Time now) override;

  private:
    using State = Sched_entity::State;

    // What the other policy asks and says, of units and cores.
    bool wants_cpu(const Sched_entity& unit) override;
    bool is_up(const Sched_entity& unit) override;
    void no_cpu_for(const Sched_entity& unit) override;
    void state_changed(Sched_entity&, Time) override {}
    void kick(u32 core, Look look) override;

    void settle(Sched_entity& entity, Time now);
    void put_on_thread(Sched_entity& entity, u32 cpu, Time now);
    void place_unit(Sched_unit& unit);
    bool has_core(const Sched_unit& unit);
    void kick_threads(const Core_state& core, Look look);
    void kick_threads_but(const Core_state& core, u32 cpu);
    // With the core's lock held.
    [[nodiscard]] bool is_switch_due(const Core_state& core, u32 number, Time now);
    [[nodiscard]] bool others_are_out(const Core_state& core, u32 cpu) const;
    [[nodiscard]] bool has_thread(const Core_state& core, const Sched_entity& entity) const;
    [[nodiscard]] bool waits_for(const Core_state& core, const Sched_entity& entity, u32 cpu);
    [[nodiscard]] bool somebody_waits_for(const Core_state& core, u32 cpu);
    Sched_entity* choose(const Core_state& core, u32 cpu, const Sched_entity* last);
    Sched_decision fill(const Core_state& core, u32 cpu, const Sched_entity* last, Time now);

    Sched_host& host_;
    Policy& policy_;
    std::span<Core_state> cores_;
};

// With the policy that it needs, of a kind that is made of its host and a state for each CPU.
template <class Kind, class Cpu_state>
struct Policy_of_cores {
    constexpr Policy_of_cores(Sched_host& host, std::span<Core_state> states, std::span<Cpu_state> cpus)
        : cores(host, inner, states), inner(cores.as_host(), cpus)
    {
    }
    Core_policy cores;
    Kind inner;
};

} // namespace vmm
