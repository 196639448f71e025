// SPDX-License-Identifier: Apache-2.0
#include "hypercall/cpu_hotplug.hpp"

#include "debug/log.hpp"
#include "domain/domain.hpp"
#include "hypercall/cpupool_op.hpp"
#include "platform/cpus.hpp"
#include "sched/scheduler.hpp"

#include <xen/xen.h>

namespace vmm
{
namespace
{

bool is_sibling(u32 cpu)
{
    const u32 first = Cpu_set(cpus_alike(cpu, &Physical_cpu::core)).next(0);
    return first != cpu;
}

// Every thread but the first of each core. What cannot go does not keep the others from it.
Expected<void> switch_siblings(bool on)
{
    Expected<void> all = {};
    bool any           = false;
    for (u32 cpu = 1; cpu < cpu_count(); ++cpu) {
        if (!is_sibling(cpu))
            continue;
        any             = true;
        const auto done = on ? bring_cpu_online(cpu) : take_cpu_offline(cpu);
        if (!done && done.error() != Errc::eexist)
            all = done;
    }
    return any ? all : fail(Errc::eopnotsupp);
}

} // namespace

Expected<void> take_cpu_offline(u32 cpu)
{
    if (cpu == 0 || cpu >= cpu_count())
        return fail(Errc::einval);
    if (!is_online(cpu))
        return fail(Errc::eexist);
    if (is_needed_by_its_pool(cpu))
        return fail(Errc::ebusy);
    known_cpus.offline.fetch_or(bit(cpu));
    scheduler::set_offline(cpu, true);
    log::info("CPU {} is offline", cpu);
    raise_for_dom0(VIRQ_PCPU_STATE); // its kernel shows them, and looks again
    return {};
}

Expected<void> bring_cpu_online(u32 cpu)
{
    if (cpu >= cpu_count())
        return fail(Errc::einval);
    if (is_online(cpu))
        return fail(Errc::eexist);
    if (!scheduler::set_offline(cpu, false))
        return fail(Errc::erestart);
    known_cpus.offline.fetch_and(~bit(cpu));
    log::info("CPU {} is online again", cpu);
    raise_for_dom0(VIRQ_PCPU_STATE);
    return {};
}

Expected<void> do_cpu_hotplug(const xen_sysctl_cpu_hotplug& op)
{
    switch (op.op) {
    case XEN_SYSCTL_CPU_HOTPLUG_ONLINE: return bring_cpu_online(op.cpu);
    case XEN_SYSCTL_CPU_HOTPLUG_OFFLINE: return take_cpu_offline(op.cpu);
    case XEN_SYSCTL_CPU_HOTPLUG_SMT_ENABLE: return switch_siblings(true);
    case XEN_SYSCTL_CPU_HOTPLUG_SMT_DISABLE: return switch_siblings(false);
    default: return fail(Errc::eopnotsupp);
    }
}

} // namespace vmm
