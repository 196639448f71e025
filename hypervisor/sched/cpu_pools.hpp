// SPDX-License-Identifier: Apache-2.0
//
// Which CPU belongs to which pool: the books alone, whoever keeps them applies what they say to domains and
// to the policies. Each CPU is in one pool or in none, and is free then. Pool 0 is there from the beginning,
// with all CPUs there are and may ever be. Errors are those that tools are promised. One caller at a time.
// [xen/include/public/sysctl.h, XEN_SYSCTL_cpupool_op]
#pragma once

#include "base/expected.hpp"
#include "sched/cpu_set.hpp"
#include "sched/sched_kind.hpp"

namespace vmm
{

struct Cpu_pool {
    bool exists     = false;
    Sched_kind kind = Sched_kind::fair;
    Cpu_set cpus;
};

class Cpu_pools
{
  public:
    static constexpr u32 kMost = 64;
    static constexpr u32 kAny  = ~0u; // pool id or CPU: the callee chooses

    constexpr Cpu_pools() { pools_[0] = {true, Sched_kind::fair, Cpu_set::all()}; }
    // Before there is any other.
    void set_first_kind(Sched_kind kind) { pools_[0].kind = kind; }
    // Which CPUs come and go together with one, which is one of them; without this each by itself.
    using Unit = Cpu_set (*)(u32 cpu);
    void set_unit(Unit unit) { unit_ = unit; }

    // nullptr: there is none.
    [[nodiscard]] const Cpu_pool* find(u32 id) const
    {
        return id < kMost && pools_[id].exists ? &pools_[id] : nullptr;
    }
    // The first pool from an id on; kMost: there is none.
    [[nodiscard]] u32 next(u32 id) const;

    // `online`: the CPUs there are. `domains`: how many are in that pool. Those that return a number return
    // the pool's or the CPU's.
    Expected<u32> create(u32 id, Sched_kind kind);
    Expected<void> destroy(u32 id, u32 domains, const Cpu_set& online);
    [[nodiscard]] Expected<u32> which_to_add(u32 id, u32 cpu, const Cpu_set& online) const;
    Expected<u32> add(u32 id, u32 cpu, const Cpu_set& online);
    Expected<u32> take(u32 id, u32 cpu, u32 domains, const Cpu_set& online);
    [[nodiscard]] Cpu_set free(const Cpu_set& online) const;

  private:
    std::array<Cpu_pool, kMost> pools_{};
    Unit unit_ = Cpu_set::only;
};

} // namespace vmm
