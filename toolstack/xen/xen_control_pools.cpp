// SPDX-License-Identifier: Apache-2.0
// The part of Xen_control that is about CPU pools and the CPUs in them. [<xen/sysctl.h>,
// XEN_SYSCTL_cpupool_op, and the errors told there; XEN_SYSCTL_cpu_hotplug]
#include "toolstack/xen/refusal.hpp"
#include "toolstack/xen/xen_control.hpp"

#include <cstring>

namespace vmm
{

// A CPU that is busy in the hypervisor is asked for again, as that says.
Result<void> Xen_control::pool_op(xen_sysctl& op, std::string_view what) const
{
    constexpr unsigned kAttempts = 1000;
    for (unsigned attempt = 1;; ++attempt) {
        const auto done = call_.sysctl(XEN_SYSCTL_cpupool_op, op);
        if (done) {
            return {};
        }
        if (done.error().code != Errc::again || attempt == kAttempts) {
            return refusal(done.error(), what, std::nullopt);
        }
    }
}

// The pool with this id, or else the next one.
Result<std::optional<Cpu_pool>> Xen_control::next_pool(unsigned id) const
{
    const std::size_t bytes = TRY(cpu_map_bytes());
    const auto buffer       = TRY(call_.buffer(bytes));
    std::memset(buffer.data(), 0, bytes);
    xen_sysctl op{};
    auto& query          = op.u.cpupool_op;
    query.op             = XEN_SYSCTL_CPUPOOL_OP_INFO;
    query.cpupool_id     = id;
    query.cpumap.nr_bits = static_cast<std::uint32_t>(bytes * 8);
    set_xen_guest_handle_raw(query.cpumap.bitmap, buffer.as<std::uint8_t>());
    if (const auto done = call_.sysctl(XEN_SYSCTL_cpupool_op, op); !done) {
        if (done.error().code == Errc::not_found) {
            return std::nullopt;
        }
        return refusal(done.error(), "tell of its CPU pools", std::nullopt);
    }
    const auto* const cpus = buffer.as<std::uint8_t>();
    return Cpu_pool{query.cpupool_id, query.sched_id, query.n_dom, Cpu_bits(cpus, cpus + bytes)};
}

Result<std::vector<Cpu_pool>> Xen_control::pools()
{
    std::vector<Cpu_pool> all;
    for (auto pool = TRY(next_pool(0)); pool; pool = TRY(next_pool(all.back().id + 1))) {
        all.push_back(*std::move(pool));
    }
    return all;
}

Result<Cpu_bits> Xen_control::free_cpus()
{
    const std::size_t bytes = TRY(cpu_map_bytes());
    const auto buffer       = TRY(call_.buffer(bytes));
    std::memset(buffer.data(), 0, bytes);
    xen_sysctl op{};
    auto& query          = op.u.cpupool_op;
    query.op             = XEN_SYSCTL_CPUPOOL_OP_FREEINFO;
    query.cpumap.nr_bits = static_cast<std::uint32_t>(bytes * 8);
    set_xen_guest_handle_raw(query.cpumap.bitmap, buffer.as<std::uint8_t>());
    TRY(pool_op(op, "tell which CPUs are free"));
    const auto* const cpus = buffer.as<std::uint8_t>();
    return Cpu_bits(cpus, cpus + bytes);
}

Result<unsigned> Xen_control::create_pool(unsigned scheduler)
{
    xen_sysctl op{};
    op.u.cpupool_op.op         = XEN_SYSCTL_CPUPOOL_OP_CREATE;
    op.u.cpupool_op.cpupool_id = XEN_SYSCTL_CPUPOOL_PAR_ANY;
    op.u.cpupool_op.sched_id   = scheduler;
    TRY(pool_op(op, "create a CPU pool"));
    return op.u.cpupool_op.cpupool_id;
}

Result<void> Xen_control::destroy_pool(unsigned pool)
{
    xen_sysctl op{};
    op.u.cpupool_op.op         = XEN_SYSCTL_CPUPOOL_OP_DESTROY;
    op.u.cpupool_op.cpupool_id = pool;
    return pool_op(op, "destroy the CPU pool");
}

Result<void> Xen_control::add_to_pool(unsigned pool, unsigned cpu)
{
    xen_sysctl op{};
    op.u.cpupool_op.op         = XEN_SYSCTL_CPUPOOL_OP_ADDCPU;
    op.u.cpupool_op.cpupool_id = pool;
    op.u.cpupool_op.cpu        = cpu;
    return pool_op(op, "add CPU " + std::to_string(cpu) + " to the pool");
}

Result<void> Xen_control::take_from_pool(unsigned pool, unsigned cpu)
{
    xen_sysctl op{};
    op.u.cpupool_op.op         = XEN_SYSCTL_CPUPOOL_OP_RMCPU;
    op.u.cpupool_op.cpupool_id = pool;
    op.u.cpupool_op.cpu        = cpu;
    return pool_op(op, "take CPU " + std::to_string(cpu) + " from the pool");
}

Result<void> Xen_control::move_to_pool(Domid id, unsigned pool)
{
    xen_sysctl op{};
    op.u.cpupool_op.op         = XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN;
    op.u.cpupool_op.cpupool_id = pool;
    op.u.cpupool_op.domid      = raw(id);
    return pool_op(op, "move domain " + to_string(id) + " to another CPU pool");
}

Result<void> Xen_control::set_cpu_online(unsigned cpu, bool online)
{
    xen_sysctl op{};
    op.u.cpu_hotplug.cpu = cpu;
    op.u.cpu_hotplug.op  = online ? XEN_SYSCTL_CPU_HOTPLUG_ONLINE : XEN_SYSCTL_CPU_HOTPLUG_OFFLINE;
    if (const auto done = call_.sysctl(XEN_SYSCTL_cpu_hotplug, op); !done) {
        return refusal(done.error(), "take CPU " + std::to_string(cpu) + (online ? " online" : " offline"),
                       std::nullopt);
    }
    return {};
}

} // namespace vmm
