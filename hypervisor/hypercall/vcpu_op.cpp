// SPDX-License-Identifier: Apache-2.0
//
// VCPUOP_*, VMASST and the older timer call. [xen/include/public/vcpu.h, xen.h]
#include "domain/domain.hpp"
#include "domain/time.hpp"
#include "domain/vcpu.hpp"
#include "exit/guest_memory.hpp"
#include "hypercall/hypercall.hpp"

#include <xen/vcpu.h>

namespace vmm
{
namespace
{

Hypercall_result register_info(Vcpu& caller, Vcpu& target, Gva arg)
{
    if (&caller != &target && target.is_up())
        return fail(Errc::einval);
    const auto op = TRY(read_guest<vcpu_register_vcpu_info>(caller, arg));
    TRY(target.register_info(Gfn(op.mfn), op.offset));
    return 0;
}

Hypercall_result register_runstate(Vcpu& caller, Vcpu& target, Gva arg)
{
    const auto op = TRY(read_guest<vcpu_register_runstate_memory_area>(caller, arg));
    // The address is in the caller's address space, whoever's state it shows.
    TRY(target.runstate.register_area(caller, Gva(op.addr.p), system_clock().now()));
    return 0;
}

// Where the TSC is the clock the time information never changes once written, so that one copy now is all
// that is ever needed. Elsewhere there is no copy: who has none reads the one in vcpu_info.
Hypercall_result register_time(Vcpu& caller, Gva arg)
{
    if (!tsc_info().is_clock)
        return fail(Errc::enosys);
    const auto op = TRY(read_guest<vcpu_register_time_memory_area>(caller, arg));
    if (op.addr.p != 0)
        TRY(write_guest(caller, Gva(op.addr.p), Vcpu::time_info()));
    return 0;
}

// A time that has passed fires at once, as if it had been in time: also for those who asked to be told by an
// error (VCPU_SSHOTTMR_future), as Xen does it.
Hypercall_result set_singleshot(Vcpu& caller, Vcpu& target, Gva arg)
{
    if (&caller != &target)
        return fail(Errc::einval);
    const auto op = TRY(read_guest<vcpu_set_singleshot_timer>(caller, arg));
    target.singleshot.start(Time(op.timeout_abs_ns));
    return 0;
}

Hypercall_result stop_singleshot(Vcpu& caller, Vcpu& target)
{
    if (&caller != &target)
        return fail(Errc::einval);
    target.singleshot.stop();
    return 0;
}

Hypercall_result bring_up(Vcpu& target)
{
    if (!target.initialised)
        return fail(Errc::einval);
    target.set_up(true);
    return 0;
}

// Where no other vCPU is up, that is the end of the domain.
void take_down(Vcpu& target)
{
    Domain& domain = target.domain();
    for (unsigned i = 0; i < domain.max_vcpus(); ++i) {
        if (const Vcpu* other = domain.vcpu(i); other != &target && other->is_up())
            return target.set_up(false);
    }
    domain.shut_down(SHUTDOWN_poweroff);
}

} // namespace

Hypercall_result do_vcpu_op(Vcpu& vcpu, Hypercall_args& args)
{
    Vcpu* target = vcpu.domain().vcpu(args.a[1]);
    if (!target)
        return fail(Errc::enoent);
    const Gva arg(args.a[2]);
    switch (args.a[0]) {
    case VCPUOP_up: return bring_up(*target);
    case VCPUOP_down: take_down(*target); return 0;
    case VCPUOP_is_up: return target->is_up() ? 1 : 0;
    case VCPUOP_get_runstate_info:
        TRY(write_guest(vcpu, arg, target->runstate.snapshot(system_clock().now())));
        return 0;
    case VCPUOP_register_runstate_memory_area: return register_runstate(vcpu, *target, arg);
    case VCPUOP_stop_periodic_timer: return 0; // there is no periodic timer that could run
    case VCPUOP_set_singleshot_timer: return set_singleshot(vcpu, *target, arg);
    case VCPUOP_stop_singleshot_timer: return stop_singleshot(vcpu, *target);
    case VCPUOP_register_vcpu_info: return register_info(vcpu, *target, arg);
    case VCPUOP_send_nmi:
        target->nmi_pending = true;
        target->wake();
        return 0;
    case VCPUOP_get_physid: return fail(Errc::einval); // no vCPU is bound to one CPU for good
    case VCPUOP_register_vcpu_time_memory_area: return register_time(vcpu, arg);
    default: return fail(Errc::enosys);
    }
}

Hypercall_result do_set_timer_op(Vcpu& vcpu, Hypercall_args& args)
{
    if (args.a[0] == 0)
        vcpu.singleshot.stop();
    else
        vcpu.singleshot.start(Time(args.a[0]));
    return 0;
}

Hypercall_result do_vm_assist(Vcpu& vcpu, Hypercall_args& args)
{
    const bool enable = args.a[0] == VMASST_CMD_enable;
    if (args.a[1] != VMASST_TYPE_runstate_update_flag)
        return fail(Errc::einval);
    if (args.a[0] > VMASST_CMD_disable)
        return fail(Errc::enosys);
    Domain& domain = vcpu.domain();
    for (unsigned i = 0; i < domain.max_vcpus(); ++i)
        domain.vcpu(i)->runstate.set_update_flag(enable);
    return 0;
}

} // namespace vmm
