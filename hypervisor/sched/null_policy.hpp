// SPDX-License-Identifier: Apache-2.0
//
// No sharing at all: each vCPU gets a CPU of its own, where nobody ever takes it away, and no timer is
// needed. It keeps it while it is up, asleep or not. A vCPU for which none is left waits, unassigned, until
// one comes free, and whoever looks after the machine is told (Sched_host::no_cpu_for). Weights and caps mean
// nothing here.
//
// Locks: who waits for a CPU is under one lock (Lock_rank::assignment), taken before that of a CPU and only
// when vCPUs come, go or are moved; waking and sleeping take the CPU's own lock alone.
#pragma once

#include "sched/policy.hpp"

#include <span>

namespace vmm
{

// What the policy keeps of each CPU.
struct alignas(64) Null_cpu {
    Spinlock lock{Lock_rank::scheduler};
    bool online         = false;
    Sched_entity* owner = nullptr;
};

class Null_policy final : public Policy
{
  public:
    // One of `cpus` per CPU there may be, up to Cpu_set::kSize.
    constexpr Null_policy(Sched_host& host, std::span<Null_cpu> cpus) : host_(host), cpus_(cpus) {}

    void cpu_online(u32 cpu, const Cpu_neighbours& neighbours, Time now) override;
    void cpu_offline(u32 cpu, Time now) override;
    void add(Sched_entity& entity) override;
    void remove(Sched_entity& entity) override;
    void update(Sched_entity& entity, Time now) override;
    void changed(Sched_entity& entity, Time now) override;
    Sched_decision decide(u32 cpu, Time now) override;
    [[nodiscard]] Time until(u32) const override { return kNever; }
    bool yield(u32, Time) override { return false; }
    bool yield_to(u32, Sched_entity&, Time) override { return false; }

  private:
    using State = Sched_entity::State;

    [[nodiscard]] bool may_keep(u32 cpu, const Sched_entity& entity) const;
    bool owns_cpu(const Sched_entity& entity);
    bool kick_owned(const Sched_entity& entity, bool always);

    // The assignment lock is held.
    bool take(u32 cpu, Sched_entity& entity);
    bool find_cpu(Sched_entity& entity);
    void place(Sched_entity& entity, Time now);
    void vacate(u32 cpu, Time now);
    template <class Served>
    void serve(Served served);

    Sched_host& host_;
    std::span<Null_cpu> cpus_;
    Shared_cpu_set online_;
    Spinlock assignment_{Lock_rank::assignment};
    Heap_queue waiting_; // by the order in which they came
    u64 ticket_ = 0;
};

} // namespace vmm
