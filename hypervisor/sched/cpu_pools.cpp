// SPDX-License-Identifier: Apache-2.0
#include "sched/cpu_pools.hpp"

namespace vmm
{

u32 Cpu_pools::next(u32 id) const
{
    while (id < kMost && !pools_[id].exists)
        ++id;
    return id < kMost ? id : kMost;
}

Expected<u32> Cpu_pools::create(u32 id, Sched_kind kind)
{
    if (id == kAny) {
        for (id = 0; id < kMost && pools_[id].exists; ++id) {
        }
        if (id == kMost)
            return fail(Errc::enospc);
    }
    if (id >= kMost)
        return fail(Errc::einval);
    if (pools_[id].exists)
        return fail(Errc::eexist);
    pools_[id] = {true, kind, Cpu_set()};
    return id;
}

Expected<void> Cpu_pools::destroy(u32 id, u32 domains, const Cpu_set& online)
{
    if (!find(id))
        return fail(Errc::enoent);
    if (id == 0 || domains != 0 || (pools_[id].cpus & online).any())
        return fail(Errc::ebusy);
    pools_[id] = {};
    return {};
}

Cpu_set Cpu_pools::free(const Cpu_set& online) const
{
    Cpu_set rest = online;
    for (const Cpu_pool& pool : pools_) {
        if (pool.exists)
            rest = rest & ~pool.cpus;
    }
    return rest;
}

Expected<u32> Cpu_pools::which_to_add(u32 id, u32 cpu, const Cpu_set& online) const
{
    if (!find(id))
        return fail(Errc::enoent);
    const Cpu_set may = free(online);
    if (cpu == kAny)
        cpu = may.next(0);
    else if (cpu >= Cpu_set::kSize || !online.has(cpu))
        return fail(Errc::einval);
    if (cpu == Cpu_set::kNone || !may.has(cpu))
        return fail(Errc::enodev);
    return cpu;
}

Expected<u32> Cpu_pools::add(u32 id, u32 cpu, const Cpu_set& online)
{
    cpu             = TRY(which_to_add(id, cpu, online));
    pools_[id].cpus = pools_[id].cpus | unit_(cpu);
    return cpu;
}

Expected<u32> Cpu_pools::take(u32 id, u32 cpu, u32 domains, const Cpu_set& online)
{
    if (!find(id))
        return fail(Errc::enoent);
    const Cpu_set has = pools_[id].cpus & online;
    if (cpu == kAny) { // the last
        for (cpu = Cpu_set::kSize - 1; cpu > 0 && !has.has(cpu); --cpu) {
        }
    } else if (cpu >= Cpu_set::kSize || !online.has(cpu)) {
        return fail(Errc::einval);
    }
    if (!has.has(cpu))
        return fail(Errc::enodev);
    if (domains != 0 && !(has & ~unit_(cpu)).any())
        return fail(Errc::ebusy);
    pools_[id].cpus = pools_[id].cpus & ~unit_(cpu);
    return cpu;
}

} // namespace vmm
