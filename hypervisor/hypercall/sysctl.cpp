// SPDX-License-Identifier: Apache-2.0
//
// XEN_SYSCTL_*: what the control domain asks about the machine and the hypervisor.
// [xen/include/public/sysctl.h, version 0x15]
#include "debug/log.hpp"
#include "domain/domain_table.hpp"
#include "domain/time.hpp"
#include "domain/vcpu.hpp"
#include "emul/domain_devices.hpp"
#include "hypercall/argument.hpp"
#include "hypercall/control_lock.hpp"
#include "hypercall/cpu_hotplug.hpp"
#include "hypercall/cpu_policy_op.hpp"
#include "hypercall/cpupool_op.hpp"
#include "hypercall/domain_info.hpp"
#include "mm/frame_allocator.hpp"
#include "platform/cpus.hpp"
#include "sched/fair_policy.hpp"
#include "sched/scheduler.hpp"

#include <algorithm>

#include <xen/sysctl.h>

namespace vmm
{
namespace
{

Expected<void> read_console(Vcpu& vcpu, xen_sysctl_readconsole& op)
{
    constexpr u32 piece = 512;
    u32 index           = op.index;
    u32 done            = 0;
    bool incremental    = op.incremental;
    while (done < op.count) {
        char text[piece];
        const auto got =
            log::read_ring(incremental, index, std::span(text).first(std::min(piece, op.count - done)));
        if (got == 0)
            break;
        TRY(copy_to_guest(vcpu, address_of(op.buffer) + done, text, got));
        done += static_cast<u32>(got);
        incremental = true;
    }
    if (op.clear)
        log::clear_ring();
    op.count = done;
    op.index = index;
    return {};
}

void physical_info(xen_sysctl_physinfo& info)
{
    info                  = {};
    info.threads_per_core = Cpu_set(cpus_alike(0, &Physical_cpu::core)).count();
    info.cores_per_socket = Cpu_set(cpus_alike(0, &Physical_cpu::package)).count() / info.threads_per_core;
    info.nr_cpus          = Cpu_set(online_cpu_mask()).count();
    info.max_cpu_id       = cpu_count() - 1;
    info.nr_nodes         = 1;
    info.cpu_khz          = static_cast<u32>(tsc_info().khz);
    info.capabilities     = XEN_SYSCTL_PHYSCAP_hvm | XEN_SYSCTL_PHYSCAP_hap | XEN_SYSCTL_PHYSCAP_gnttab_v1;
    info.total_pages      = frames.total_count();
    info.free_pages       = frames.free_count();
    info.scrub_pages = 0; // tools add it to free_pages, which has the unscrubbed ones already; so does Xen
    info.outstanding_pages   = frames.promised_count();
    info.max_mfn             = frames.end().value() - 1;
    const Cpu_policy machine = Cpu_policy::of_machine();
    for (unsigned word = 0; word < std::size(info.hw_cap); ++word)
        info.hw_cap[word] = machine.feature_word(word);
}

Expected<void> domain_list(Vcpu& vcpu, xen_sysctl_getdomaininfolist& op)
{
    u32 count = 0;
    for (auto domain = next_domain(Domid(op.first_domain)); domain && count < op.max_domains; ++count) {
        const auto info = describe_domain(*domain);
        TRY(write_guest_element(vcpu, address_of(op.buffer), count, info));
        domain = next_domain(Domid(static_cast<u16>(domain->id().value() + 1)));
    }
    op.num_domains = count;
    return {};
}

Expected<void> cpu_info(Vcpu& vcpu, xen_sysctl_getcpuinfo& op)
{
    const u32 count = std::min(op.max_cpus, cpu_count());
    for (u32 cpu = 0; cpu < count; ++cpu) {
        const xen_sysctl_cpuinfo info{.idletime = scheduler::idle_time(cpu)};
        TRY(write_guest_element(vcpu, address_of(op.info), cpu, info));
    }
    op.nr_cpus = count;
    return {};
}

Expected<void> cpu_topology(Vcpu& vcpu, xen_sysctl_cputopoinfo& op)
{
    if (address_of(op.cputopo).value() != 0) {
        for (u32 cpu = 0; cpu < std::min(op.num_cpus, cpu_count()); ++cpu) {
            const Physical_cpu& known = known_cpus.list[cpu];
            xen_sysctl_cputopo place{.core = known.core, .socket = known.package, .node = 0};
            if (!is_online(cpu))
                place = {XEN_INVALID_CORE_ID, XEN_INVALID_SOCKET_ID, XEN_INVALID_NODE_ID};
            TRY(write_guest_element(vcpu, address_of(op.cputopo), cpu, place));
        }
    }
    op.num_cpus = cpu_count();
    return {};
}

// One node with all the memory.
Expected<void> numa_info(Vcpu& vcpu, xen_sysctl_numainfo& op)
{
    constexpr u32 local_distance = 10;
    if (op.num_nodes > 0 && address_of(op.meminfo).value() != 0) {
        const xen_sysctl_meminfo memory{frames.total_count() * kPageSize, frames.free_count() * kPageSize};
        TRY(write_guest(vcpu, address_of(op.meminfo), memory));
    }
    if (op.num_nodes > 0 && address_of(op.distance).value() != 0)
        TRY(write_guest(vcpu, address_of(op.distance), local_distance));
    op.num_nodes = 1;
    return {};
}

// How long a vCPU keeps the CPU at least is the policy's own, and cannot be set.
Expected<void> scheduler_parameters(xen_sysctl_scheduler_op& op)
{
    constexpr u32 turn_us = Fair_policy::kShortTurn / 1'000;
    auto& parameters      = op.u.sched_credit2;
    if (TRY(kind_of_pool(op.cpupool_id)) != Sched_kind::fair || op.sched_id != XEN_SCHEDULER_CREDIT2 ||
        (op.cmd != XEN_SYSCTL_SCHEDOP_putinfo && op.cmd != XEN_SYSCTL_SCHEDOP_getinfo))
        return fail(Errc::einval);
    if (op.cmd == XEN_SYSCTL_SCHEDOP_putinfo && parameters.ratelimit_us != turn_us)
        return fail(Errc::einval);
    parameters.ratelimit_us = turn_us;
    return {};
}

// Which node a device is near to is not known here. Long lists are answered in part; the caller goes on.
Expected<void> pci_topology(Vcpu& vcpu, xen_sysctl_pcitopoinfo& op)
{
    constexpr u32 at_once = 64;
    if (op.devs.p == nullptr || op.nodes.p == nullptr)
        return fail(Errc::einval);
    op.num_devs             = std::min(op.num_devs, at_once);
    Domain_devices* devices = vcpu.domain().devices();
    for (u32 i = 0; i < op.num_devs; ++i) {
        const auto d = TRY(read_guest_element<physdev_pci_device>(vcpu, address_of(op.devs), i));
        const bool known =
            devices && devices->pci().knows({.segment = d.seg, .bus = d.bus, .devfn = d.devfn});
        const u32 node = known ? XEN_INVALID_NODE_ID : XEN_INVALID_DEV;
        TRY(write_guest_element(vcpu, address_of(op.nodes), i, node));
    }
    return {};
}

Expected<void> perform(Vcpu& vcpu, xen_sysctl& op)
{
    switch (op.cmd) {
    case XEN_SYSCTL_readconsole: return read_console(vcpu, op.u.readconsole);
    case XEN_SYSCTL_physinfo: physical_info(op.u.physinfo); return {};
    case XEN_SYSCTL_sched_id: op.u.sched_id.sched_id = scheduler_id(default_sched_kind); return {};
    case XEN_SYSCTL_getdomaininfolist: return domain_list(vcpu, op.u.getdomaininfolist);
    case XEN_SYSCTL_getcpuinfo: return cpu_info(vcpu, op.u.getcpuinfo);
    case XEN_SYSCTL_availheap: op.u.availheap.avail_bytes = frames.free_count() * kPageSize; return {};
    case XEN_SYSCTL_cputopoinfo: return cpu_topology(vcpu, op.u.cputopoinfo);
    case XEN_SYSCTL_numainfo: return numa_info(vcpu, op.u.numainfo);
    case XEN_SYSCTL_cpu_hotplug: return do_cpu_hotplug(op.u.cpu_hotplug);
    case XEN_SYSCTL_cpupool_op: return do_cpupool_op(vcpu, op.u.cpupool_op);
    case XEN_SYSCTL_scheduler_op: return scheduler_parameters(op.u.scheduler_op);
    case XEN_SYSCTL_pcitopoinfo: return pci_topology(vcpu, op.u.pcitopoinfo);
    // No CPU masks what its CPUID tells to PV guests, for there are none.
    case XEN_SYSCTL_get_cpu_levelling_caps: op.u.cpu_levelling_caps.caps = 0; return {};
    case XEN_SYSCTL_get_cpu_featureset: return get_cpu_featureset(vcpu, op.u.cpu_featureset);
    case XEN_SYSCTL_get_cpu_policy: return get_system_cpu_policy(vcpu, op.u.cpu_policy);
    default: return fail(Errc::enosys);
    }
}

} // namespace

Hypercall_result do_sysctl(Vcpu& vcpu, Hypercall_args& args)
{
    const Gva arg(args.a[0]);
    auto op = TRY(read_guest<xen_sysctl>(vcpu, arg));
    if (op.interface_version != XEN_SYSCTL_INTERFACE_VERSION)
        return fail(Errc::eacces);
    if (!vcpu.domain().is_control())
        return fail(Errc::eperm);
    const Lock_guard one_at_a_time(control_lock);
    const auto done = perform(vcpu, op);
    if (done || done.error() == Errc::enobufs) // which tells how much there would be
        TRY(write_guest(vcpu, arg, op));
    return done ? Hypercall_result(0) : fail(done.error());
}

} // namespace vmm
