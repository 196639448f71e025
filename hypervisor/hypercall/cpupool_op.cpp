// SPDX-License-Identifier: Apache-2.0
#include "hypercall/cpupool_op.hpp"

#include "domain/domain_table.hpp"
#include "domain/vcpu.hpp"
#include "hypercall/bitmap_argument.hpp"
#include "sched/cpu_pools.hpp"
#include "sched/scheduler.hpp"

namespace vmm
{
namespace
{

constinit Cpu_pools pools;

Cpu_set online() { return Cpu_set(online_cpu_mask()); }

// The first has the policy that was chosen at boot.
Cpu_pools& known_pools()
{
    pools.set_first_kind(default_sched_kind);
    pools.set_unit(scheduler::cpus_of_unit);
    return pools;
}

template <class Visit>
u32 for_each_domain(u32 pool, Visit visit)
{
    u32 count = 0;
    for (auto d = next_domain(Domid(0)); d; d = next_domain(Domid(static_cast<u16>(d->id().value() + 1)))) {
        if (d->scheduling().pool != pool)
            continue;
        ++count;
        visit(*d);
    }
    return count;
}

u32 domains_in(u32 pool)
{
    return for_each_domain(pool, [](Domain&) {});
}

void tell_cpus(Domain& domain, const Cpu_pool& pool)
{
    domain.scheduling().cpus.store(pool.cpus);
    domain.rearrange_vcpus();
}

void apply(u32 id)
{
    for_each_domain(id, [&](Domain& domain) { tell_cpus(domain, *pools.find(id)); });
}

Expected<Sched_kind> kind_of(u32 scheduler)
{
    switch (scheduler) {
    case XEN_SCHEDULER_CREDIT:
    case XEN_SCHEDULER_CREDIT2: return Sched_kind::fair;
    case XEN_SCHEDULER_NULL: return Sched_kind::unshared;
    default: return fail(Errc::einval);
    }
}

// That of this id, or the next one: tools find all of them so.
Expected<void> inform(Vcpu& caller, xen_sysctl_cpupool_op& op)
{
    const u32 id         = pools.next(op.cpupool_id);
    const Cpu_pool* pool = pools.find(id);
    if (!pool)
        return fail(Errc::enoent);
    op.cpupool_id = id;
    op.sched_id   = scheduler_id(pool->kind);
    op.n_dom      = domains_in(id);
    return write_bitmap(caller, op.cpumap, (pool->cpus & online()).low_word());
}

Expected<void> create(xen_sysctl_cpupool_op& op)
{
    const Sched_kind kind = TRY(kind_of(op.sched_id));
    op.cpupool_id         = TRY(pools.create(op.cpupool_id, kind));
    return {};
}

// Erestart until the CPUs follow the pool's policy, which knows nothing of them before: a domain that had no
// others would go on where it was. The caller may be on one of them itself.
Expected<void> add_cpu(xen_sysctl_cpupool_op& op)
{
    const u32 first       = TRY(pools.which_to_add(op.cpupool_id, op.cpu, online()));
    const Sched_kind kind = pools.find(op.cpupool_id)->kind;
    bool all_follow       = true;
    scheduler::cpus_of_unit(first).for_each([&](u32 cpu) { all_follow &= scheduler::follow(cpu, kind); });
    if (!all_follow)
        return fail(Errc::erestart);
    op.cpu = TRY(pools.add(op.cpupool_id, first, online()));
    apply(op.cpupool_id);
    return {};
}

Expected<void> take_cpu(xen_sysctl_cpupool_op& op)
{
    op.cpu = TRY(pools.take(op.cpupool_id, op.cpu, domains_in(op.cpupool_id), online()));
    apply(op.cpupool_id);
    return {};
}

// Nobody moves itself. Affinities name CPUs of the former pool, and end with it; weight and cap are the
// domain's own.
Expected<void> move_domain(Vcpu& caller, const xen_sysctl_cpupool_op& op)
{
    const auto domain = find_domain(Domid(static_cast<u16>(op.domid)));
    if (!domain || op.domid > 0xffff)
        return fail(Errc::esrch);
    if (domain.get() == &caller.domain())
        return fail(Errc::einval);
    const Cpu_pool* pool = pools.find(op.cpupool_id);
    if (!pool || !(pool->cpus & online()).any())
        return fail(Errc::enoent);
    if (domain->scheduling().pool == op.cpupool_id)
        return {};
    const Stopped stopped(*domain);
    for (unsigned i = 0; i < domain->max_vcpus(); ++i)
        scheduler::remove(*domain->vcpu(i));
    begin_in_pool(*domain, op.cpupool_id);
    for (unsigned i = 0; i < domain->max_vcpus(); ++i) {
        Vcpu& vcpu = *domain->vcpu(i);
        vcpu.sched.hard_affinity.store(Cpu_set::all());
        vcpu.sched.soft_affinity.store(Cpu_set::all());
        scheduler::add(vcpu);
    }
    return {};
}

} // namespace

u32 scheduler_id(Sched_kind kind)
{
    return kind == Sched_kind::unshared ? XEN_SCHEDULER_NULL : XEN_SCHEDULER_CREDIT2;
}

Expected<void> can_begin_in(u32 id)
{
    const Cpu_pool* pool = pools.find(id);
    if (!pool)
        return fail(Errc::enoent);
    return (pool->cpus & online()).any() ? Expected<void>() : fail(Errc::enodev);
}

void begin_in_pool(Domain& domain, u32 id)
{
    const Cpu_pool& pool     = *known_pools().find(id);
    domain.scheduling().pool = id;
    domain.scheduling().kind = pool.kind;
    domain.scheduling().cpus.store(pool.cpus);
}

Expected<Sched_kind> kind_of_pool(u32 id)
{
    const Cpu_pool* pool = known_pools().find(id);
    return pool ? Expected<Sched_kind>(pool->kind) : fail(Errc::esrch);
}

bool is_needed_by_its_pool(u32 cpu)
{
    for (u32 id = 0; (id = known_pools().next(id)) < Cpu_pools::kMost; ++id) {
        const Cpu_set cpus = pools.find(id)->cpus & online();
        if (cpus.has(cpu) && !cpus.without(cpu).any() && domains_in(id) != 0)
            return true;
    }
    return false;
}

Expected<void> do_cpupool_op(Vcpu& caller, xen_sysctl_cpupool_op& op)
{
    known_pools();
    switch (op.op) {
    case XEN_SYSCTL_CPUPOOL_OP_CREATE: return create(op);
    case XEN_SYSCTL_CPUPOOL_OP_DESTROY:
        return pools.destroy(op.cpupool_id, domains_in(op.cpupool_id), online());
    case XEN_SYSCTL_CPUPOOL_OP_INFO: return inform(caller, op);
    case XEN_SYSCTL_CPUPOOL_OP_ADDCPU: return add_cpu(op);
    case XEN_SYSCTL_CPUPOOL_OP_RMCPU: return take_cpu(op);
    case XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN: return move_domain(caller, op);
    case XEN_SYSCTL_CPUPOOL_OP_FREEINFO:
        return write_bitmap(caller, op.cpumap, pools.free(online()).low_word());
    default: return fail(Errc::enosys);
    }
}

} // namespace vmm
