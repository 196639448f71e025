// SPDX-License-Identifier: Apache-2.0
//
// The control operations on single vCPUs. [xen/include/public/domctl.h]
#include "hypercall/domctl.hpp"

#include "domain/time.hpp"
#include "domain/vcpu.hpp"
#include "hypercall/bitmap_argument.hpp"
#include "sched/scheduler.hpp"

namespace vmm
{
namespace
{

// Esrch for one that has only not been made yet, `beyond` for one that there never will be.
Expected<Vcpu*> vcpu_named(Domain& domain, u32 id, Errc beyond = Errc::einval)
{
    Vcpu* vcpu = domain.vcpu(id);
    if (!vcpu)
        return fail(id < domain.configured_vcpus() ? Errc::esrch : beyond);
    return vcpu;
}

Expected<Vcpu*> vcpu_and_masks_named(Domain& domain, const xen_domctl_vcpuaffinity& op)
{
    constexpr u32 known = XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT;
    if (op.flags == 0 || (op.flags & ~known) != 0)
        return fail(Errc::einval);
    return vcpu_named(domain, op.vcpu);
}

// The new mask, which must leave a CPU that exists; the caller learns what is in effect.
Expected<void> change_mask(Vcpu& caller, const xenctl_bitmap& map, Shared_cpu_set& mask)
{
    const u64 wanted = TRY(read_bitmap(caller, map));
    if (!(wanted & online_cpu_mask()))
        return fail(Errc::einval);
    mask.store(Cpu_set(wanted));
    return write_bitmap(caller, map, wanted & online_cpu_mask());
}

} // namespace

Expected<void> get_vcpu_info(Domain& domain, xen_domctl_getvcpuinfo& op)
{
    const Vcpu& vcpu = *TRY(vcpu_named(domain, op.vcpu));
    const auto state = vcpu.runstate.snapshot(system_clock().now());
    op.online        = vcpu.is_up();
    op.blocked       = vcpu.blocked;
    op.running       = state.state == RUNSTATE_running;
    op.cpu_time      = state.time[RUNSTATE_running];
    op.cpu           = scheduler::cpu_of(vcpu);
    return {};
}

Expected<void> set_vcpu_affinity(Vcpu& caller, Domain& domain, const xen_domctl_vcpuaffinity& op)
{
    Vcpu& vcpu = *TRY(vcpu_and_masks_named(domain, op));
    if (op.flags & XEN_VCPUAFFINITY_HARD)
        TRY(change_mask(caller, op.cpumap_hard, vcpu.sched.hard_affinity));
    if (op.flags & XEN_VCPUAFFINITY_SOFT)
        TRY(change_mask(caller, op.cpumap_soft, vcpu.sched.soft_affinity));
    scheduler::rearrange(vcpu);
    return {};
}

Expected<void> get_vcpu_affinity(Vcpu& caller, Domain& domain, const xen_domctl_vcpuaffinity& op)
{
    const Vcpu& vcpu = *TRY(vcpu_and_masks_named(domain, op));
    if (op.flags & XEN_VCPUAFFINITY_HARD)
        TRY(write_bitmap(caller, op.cpumap_hard, vcpu.sched.hard_affinity.load().low_word()));
    if (op.flags & XEN_VCPUAFFINITY_SOFT)
        TRY(write_bitmap(caller, op.cpumap_soft, vcpu.sched.soft_affinity.load().low_word()));
    return {};
}

Expected<void> send_trigger(Domain& domain, const xen_domctl_sendtrigger& op)
{
    Vcpu& vcpu = *TRY(vcpu_named(domain, op.vcpu, Errc::esrch));
    if (op.trigger != XEN_DOMCTL_SENDTRIGGER_NMI)
        return fail(Errc::enosys); // there are no buttons and no reset line
    vcpu.nmi_pending = true;
    vcpu.wake();
    return {};
}

} // namespace vmm
