// SPDX-License-Identifier: Apache-2.0
// The part of Xen_control that is about who runs where, and how much: vCPUs, their affinities, weights and
// caps. Pools: xen_control_pools.cpp.
#include "toolstack/xen/refusal.hpp"
#include "toolstack/xen/xen_control.hpp"

#include <algorithm>
#include <cstring>

namespace vmm
{

namespace
{

// The two schedulers with weights and caps pass them in structures of their own, which are alike.
constexpr bool has_weights(std::uint32_t scheduler)
{
    return scheduler == XEN_SCHEDULER_CREDIT || scheduler == XEN_SCHEDULER_CREDIT2;
}

// What each of them takes for "as it is".
constexpr std::uint16_t kSameWeight = 0;
constexpr std::uint16_t kSameCap    = 0xffff;

} // namespace

Result<std::size_t> Xen_control::cpu_map_bytes() const
{
    xen_sysctl op{};
    if (const auto done = call_.sysctl(XEN_SYSCTL_physinfo, op); !done) {
        return refusal(done.error(), "count the processors", std::nullopt);
    }
    return op.u.physinfo.max_cpu_id / 8 + 1;
}

Result<Vcpu_state> Xen_control::vcpu(Domid id, unsigned vcpu)
{
    xen_domctl op{};
    op.u.getvcpuinfo.vcpu = vcpu;
    TRY(simple_domctl(XEN_DOMCTL_getvcpuinfo, id, op, "describe a vCPU of"));
    const auto& from = op.u.getvcpuinfo;
    Vcpu_state state;
    state.online   = from.online != 0;
    state.blocked  = from.blocked != 0;
    state.running  = from.running != 0;
    state.cpu      = from.cpu;
    state.cpu_time = from.cpu_time;

    const std::size_t bytes = TRY(cpu_map_bytes());
    const auto buffer       = TRY(call_.buffer(2 * bytes));
    auto* const hard        = buffer.as<std::uint8_t>();
    auto* const soft        = hard + bytes;
    std::memset(buffer.data(), 0, 2 * bytes);
    xen_domctl affinity{};
    auto& query               = affinity.u.vcpuaffinity;
    query.vcpu                = vcpu;
    query.flags               = XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT;
    query.cpumap_hard.nr_bits = static_cast<std::uint32_t>(bytes * 8);
    query.cpumap_soft.nr_bits = query.cpumap_hard.nr_bits;
    set_xen_guest_handle_raw(query.cpumap_hard.bitmap, hard);
    set_xen_guest_handle_raw(query.cpumap_soft.bitmap, soft);
    TRY(simple_domctl(XEN_DOMCTL_getvcpuaffinity, id, affinity, "tell the processors of"));
    state.hard_affinity.assign(hard, hard + bytes);
    state.soft_affinity.assign(soft, soft + bytes);
    return state;
}

Result<void> Xen_control::set_affinity(Domid id, unsigned vcpu, const Affinity& affinity)
{
    xen_domctl op{};
    auto& wanted   = op.u.vcpuaffinity;
    wanted.vcpu    = vcpu;
    const auto put = [&](const std::optional<Cpu_bits>& cpus, std::uint32_t flag,
                         xenctl_bitmap& map) -> Result<Hypercall::Buffer> {
        auto buffer = TRY(call_.buffer(cpus ? std::max<std::size_t>(cpus->size(), 1) : 1));
        if (cpus) {
            std::copy(cpus->begin(), cpus->end(), buffer.as<std::uint8_t>());
            wanted.flags |= flag;
            map.nr_bits = static_cast<std::uint32_t>(cpus->size() * 8);
            set_xen_guest_handle_raw(map.bitmap, buffer.as<std::uint8_t>());
        }
        return buffer;
    };
    const auto hard = TRY(put(affinity.hard, XEN_VCPUAFFINITY_HARD, wanted.cpumap_hard));
    const auto soft = TRY(put(affinity.soft, XEN_VCPUAFFINITY_SOFT, wanted.cpumap_soft));
    return simple_domctl(XEN_DOMCTL_setvcpuaffinity, id, op, "pin a vCPU of");
}

// That of its pool: each may have another one.
Result<std::uint32_t> Xen_control::scheduler_of(Domid id)
{
    const unsigned pool = TRY(info(id)).pool;
    const auto found    = TRY(next_pool(pool));
    if (!found || found->id != pool || !has_weights(found->scheduler)) {
        return fail(Errc::unsupported, "domain " + to_string(id) +
                                           " is run by a scheduler without weights and caps; xm info "
                                           "and xm cpupool-list show which");
    }
    return found->scheduler;
}

Result<Scheduling> Xen_control::scheduling(Domid id)
{
    xen_domctl op{};
    auto& query    = op.u.scheduler_op;
    query.sched_id = TRY(scheduler_of(id));
    query.cmd      = XEN_DOMCTL_SCHEDOP_getinfo;
    TRY(simple_domctl(XEN_DOMCTL_scheduler_op, id, op, "tell the weight of"));
    if (query.sched_id == XEN_SCHEDULER_CREDIT) {
        return Scheduling{query.u.credit.weight, query.u.credit.cap};
    }
    return Scheduling{query.u.credit2.weight, query.u.credit2.cap};
}

Result<void> Xen_control::set_scheduling(Domid id, const Scheduling& wanted)
{
    xen_domctl op{};
    auto& change      = op.u.scheduler_op;
    change.sched_id   = TRY(scheduler_of(id));
    change.cmd        = XEN_DOMCTL_SCHEDOP_putinfo;
    const auto weight = static_cast<std::uint16_t>(wanted.weight.value_or(kSameWeight));
    const auto cap    = static_cast<std::uint16_t>(wanted.cap.value_or(kSameCap));
    if (change.sched_id == XEN_SCHEDULER_CREDIT) {
        change.u.credit = {weight, cap};
    } else {
        change.u.credit2 = {weight, cap};
    }
    return simple_domctl(XEN_DOMCTL_scheduler_op, id, op, "set the weight of");
}

} // namespace vmm
