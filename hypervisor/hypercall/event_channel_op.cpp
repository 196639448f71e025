// SPDX-License-Identifier: Apache-2.0
//
// EVTCHNOP_*: copies each argument structure in, calls the event table it concerns, copies results out.
// [xen/include/public/event_channel.h]
#include "domain/domain_table.hpp"
#include "domain/vcpu.hpp"
#include "event/event_table.hpp"
#include "exit/guest_memory.hpp"
#include "hypercall/hypercall.hpp"

namespace vmm
{

namespace
{

Expected<Ref<Domain>> domain_named(Vcpu& vcpu, domid_t id)
{
    Ref<Domain> domain = find_domain_or_self(Domid(id), vcpu.domain());
    if (!domain)
        return fail(Errc::esrch);
    return domain;
}

Event_table& own_events(Vcpu& vcpu) { return vcpu.domain().events(); }

Hypercall_result alloc_unbound(Vcpu& vcpu, Gva arg)
{
    auto op                  = TRY(read_guest<evtchn_alloc_unbound>(vcpu, arg));
    const Ref<Domain> domain = TRY(domain_named(vcpu, op.dom));
    op.port = TRY(domain->events().alloc_unbound(vcpu.domain(), Domid(op.remote_dom))).value();
    TRY(write_guest(vcpu, arg, op));
    return 0;
}

Hypercall_result bind_interdomain(Vcpu& vcpu, Gva arg)
{
    auto op                  = TRY(read_guest<evtchn_bind_interdomain>(vcpu, arg));
    const Ref<Domain> remote = TRY(domain_named(vcpu, op.remote_dom));
    op.local_port = TRY(own_events(vcpu).bind_interdomain(*remote, Evtchn_port(op.remote_port))).value();
    TRY(write_guest(vcpu, arg, op));
    return 0;
}

Hypercall_result bind_virq(Vcpu& vcpu, Gva arg)
{
    auto op = TRY(read_guest<evtchn_bind_virq>(vcpu, arg));
    op.port = TRY(own_events(vcpu).bind_virq(op.virq, op.vcpu)).value();
    TRY(write_guest(vcpu, arg, op));
    return 0;
}

Hypercall_result bind_ipi(Vcpu& vcpu, Gva arg)
{
    auto op = TRY(read_guest<evtchn_bind_ipi>(vcpu, arg));
    op.port = TRY(own_events(vcpu).bind_ipi(op.vcpu)).value();
    TRY(write_guest(vcpu, arg, op));
    return 0;
}

// Device interrupts reach a domain through its virtual APIC only, so no physical interrupt has a number
// here that could be bound.
Hypercall_result bind_pirq(Vcpu& vcpu, Gva arg)
{
    TRY(read_guest<evtchn_bind_pirq>(vcpu, arg));
    return fail(Errc::einval);
}

Hypercall_result close(Vcpu& vcpu, Gva arg)
{
    const auto op = TRY(read_guest<evtchn_close>(vcpu, arg));
    TRY(own_events(vcpu).close(Evtchn_port(op.port)));
    return 0;
}

Hypercall_result send(Vcpu& vcpu, Gva arg)
{
    const auto op = TRY(read_guest<evtchn_send>(vcpu, arg));
    TRY(own_events(vcpu).send(Evtchn_port(op.port)));
    return 0;
}

Hypercall_result status(Vcpu& vcpu, Gva arg)
{
    const auto op            = TRY(read_guest<evtchn_status>(vcpu, arg));
    const Ref<Domain> domain = TRY(domain_named(vcpu, op.dom));
    auto answer              = TRY(domain->events().status(vcpu.domain(), Evtchn_port(op.port)));
    answer.dom               = op.dom;
    TRY(write_guest(vcpu, arg, answer));
    return 0;
}

Hypercall_result bind_vcpu(Vcpu& vcpu, Gva arg)
{
    const auto op = TRY(read_guest<evtchn_bind_vcpu>(vcpu, arg));
    TRY(own_events(vcpu).bind_vcpu(Evtchn_port(op.port), op.vcpu));
    return 0;
}

Hypercall_result unmask(Vcpu& vcpu, Gva arg)
{
    const auto op = TRY(read_guest<evtchn_unmask>(vcpu, arg));
    TRY(own_events(vcpu).unmask(Evtchn_port(op.port)));
    return 0;
}

Hypercall_result reset(Vcpu& vcpu, Gva arg)
{
    const auto op            = TRY(read_guest<evtchn_reset>(vcpu, arg));
    const Ref<Domain> domain = TRY(domain_named(vcpu, op.dom));
    const bool own           = domain.get() == &vcpu.domain();
    if (!own && !vcpu.domain().is_control())
        return fail(Errc::eperm);
    if (!own && !domain->paused_by_control())
        return fail(Errc::einval); // it would lose events under its feet
    TRY(domain->events().reset());
    return 0;
}

Hypercall_result init_control(Vcpu& vcpu, Gva arg)
{
    auto op = TRY(read_guest<evtchn_init_control>(vcpu, arg));
    TRY(own_events(vcpu).init_control(op.vcpu, Gfn(op.control_gfn), op.offset));
    op.link_bits = EVTCHN_FIFO_LINK_BITS;
    TRY(write_guest(vcpu, arg, op));
    return 0;
}

Hypercall_result expand_array(Vcpu& vcpu, Gva arg)
{
    const auto op = TRY(read_guest<evtchn_expand_array>(vcpu, arg));
    TRY(own_events(vcpu).expand_array(Gfn(op.array_gfn)));
    return 0;
}

Hypercall_result set_priority(Vcpu& vcpu, Gva arg)
{
    const auto op = TRY(read_guest<evtchn_set_priority>(vcpu, arg));
    TRY(own_events(vcpu).set_priority(Evtchn_port(op.port), op.priority));
    return 0;
}

// Everything but sending, kept out of its way.
[[gnu::noinline]] Hypercall_result manage(Vcpu& vcpu, u32 command, Gva arg)
{
    switch (command) {
    case EVTCHNOP_unmask: return unmask(vcpu, arg);
    case EVTCHNOP_alloc_unbound: return alloc_unbound(vcpu, arg);
    case EVTCHNOP_bind_interdomain: return bind_interdomain(vcpu, arg);
    case EVTCHNOP_bind_virq: return bind_virq(vcpu, arg);
    case EVTCHNOP_bind_ipi: return bind_ipi(vcpu, arg);
    case EVTCHNOP_bind_pirq: return bind_pirq(vcpu, arg);
    case EVTCHNOP_close: return close(vcpu, arg);
    case EVTCHNOP_status: return status(vcpu, arg);
    case EVTCHNOP_bind_vcpu: return bind_vcpu(vcpu, arg);
    case EVTCHNOP_reset: return reset(vcpu, arg);
    case EVTCHNOP_init_control: return init_control(vcpu, arg);
    case EVTCHNOP_expand_array: return expand_array(vcpu, arg);
    case EVTCHNOP_set_priority: return set_priority(vcpu, arg);
    default: return fail(Errc::enosys);
    }
}

} // namespace

Hypercall_result do_event_channel_op(Vcpu& vcpu, Hypercall_args& args)
{
    const Gva arg(args.a[1]);
    const u32 command = static_cast<u32>(args.a[0]);
    return command == EVTCHNOP_send ? send(vcpu, arg) : manage(vcpu, command, arg);
}

} // namespace vmm
