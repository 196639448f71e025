// SPDX-License-Identifier: Apache-2.0
//
// SCHEDOP_*. [xen/include/public/sched.h]
#include "domain/domain_table.hpp"
#include "domain/time.hpp"
#include "domain/vcpu.hpp"
#include "event/event_table.hpp"
#include "hypercall/argument.hpp"
#include "sched/scheduler.hpp"

#include <optional>
#include <utility>

#include <xen/sched.h>

namespace vmm
{
namespace
{

constexpr unsigned kMaxPolledPorts = 128;

Expected<void> shut_down(Vcpu& vcpu, const sched_shutdown& op)
{
    vcpu.domain().shut_down(static_cast<u8>(op.reason));
    return {};
}

Expected<void> shut_down_remotely(Vcpu& vcpu, const sched_remote_shutdown& op)
{
    const auto domain = find_domain(Domid(op.domain_id));
    if (!domain)
        return fail(Errc::esrch);
    if (!vcpu.domain().is_control() || domain->is_control())
        return fail(Errc::eperm);
    domain->shut_down(static_cast<u8>(op.reason));
    return {};
}

Expected<bool> any_pending(Vcpu& vcpu, const sched_poll& op)
{
    const Gva ports = address_of(op.ports);
    for (unsigned i = 0; i < op.nr_ports; ++i) {
        const auto port = TRY(read_guest_element<evtchn_port_t>(vcpu, ports, i));
        if (TRY(vcpu.domain().events().is_pending(Evtchn_port(port))))
            return true;
    }
    return false;
}

// Sleeps until a port is pending, whether it is masked or not. It may also return early: the guest looks.
Expected<void> poll(Vcpu& vcpu, const sched_poll& op)
{
    if (op.nr_ports > kMaxPolledPorts)
        return fail(Errc::einval);
    Event_table& events = vcpu.domain().events();
    events.begin_poll(vcpu.id());
    const auto pending = any_pending(vcpu, op);
    if (!pending || *pending || vcpu.has_work()) {
        events.end_poll(vcpu.id());
        return pending ? Expected<void>() : fail(pending.error());
    }
    if (op.timeout != 0)
        vcpu.poll_timeout.start(Time(op.timeout));
    else
        vcpu.poll_timeout.stop(); // that of an earlier poll, which something else ended
    scheduler::block(vcpu);
    if (!events.polls(vcpu.id()) || vcpu.has_work()) [[unlikely]]
        vcpu.wake();
    return {};
}

Hypercall_result watchdog(Vcpu& vcpu, Gva arg)
{
    const auto op = TRY(read_guest<sched_watchdog>(vcpu, arg));
    return TRY(vcpu.domain().watchdogs().set(op.id, op.timeout, system_clock().now()));
}

// For a while the caller runs on that physical CPU only, for what is done to a CPU and not to the machine; a
// negative number ends it.
Expected<void> pin(Vcpu& vcpu, const sched_pin_override& op)
{
    const s32 cpu = op.pcpu;
    if (!vcpu.domain().is_control())
        return fail(Errc::eperm);
    if (cpu >= static_cast<s32>(cpu_count()))
        return fail(Errc::einval);
    if (cpu < 0) {
        if (!vcpu.affinity_before_pin)
            return fail(Errc::einval);
        vcpu.sched.hard_affinity.store(*std::exchange(vcpu.affinity_before_pin, std::nullopt));
    } else {
        if (vcpu.affinity_before_pin)
            return fail(Errc::ebusy);
        vcpu.affinity_before_pin = vcpu.sched.hard_affinity.load();
        vcpu.sched.hard_affinity.store(Cpu_set::only(static_cast<u32>(cpu)));
    }
    scheduler::rearrange(vcpu);
    return {};
}

} // namespace

Hypercall_result do_sched_op(Vcpu& vcpu, Hypercall_args& args)
{
    const Gva arg(args.a[1]);
    switch (args.a[0]) {
    case SCHEDOP_yield: scheduler::yield(vcpu); return 0;
    case SCHEDOP_block:
        if (vcpu.info())
            vcpu.info()->evtchn_upcall_mask = 0;
        if (!vcpu.has_work()) {
            vcpu.sleep();
            if (vcpu.has_work()) [[unlikely]]
                vcpu.wake();
        }
        return 0;
    case SCHEDOP_shutdown: return with_argument(vcpu, arg, shut_down);
    case SCHEDOP_poll: return with_argument(vcpu, arg, poll);
    case SCHEDOP_remote_shutdown: return with_argument(vcpu, arg, shut_down_remotely);
    case SCHEDOP_watchdog: return watchdog(vcpu, arg);
    case SCHEDOP_pin_override: return with_argument(vcpu, arg, pin);
    default: return fail(Errc::enosys);
    }
}

} // namespace vmm
