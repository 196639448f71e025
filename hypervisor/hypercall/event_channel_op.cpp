// SPDX-License-Identifier: Apache-2.0
//
// EVTCHNOP_*: copies each argument structure in, calls the event table it concerns, copies results out.
// [xen/include/public/event_channel.h]
#include "domain/domain_table.hpp"
#include "domain/vcpu.hpp"
#include "event/event_table.hpp"
#include "hypercall/argument.hpp"

namespace vmm
{

namespace
{

Event_table& own_events(Vcpu& vcpu) { return vcpu.domain().events(); }

Expected<void> alloc_unbound(Vcpu& vcpu, evtchn_alloc_unbound& op)
{
    const Ref<Domain> domain = TRY(domain_or_self(Domid(op.dom), vcpu.domain()));
    op.port = TRY(domain->events().alloc_unbound(vcpu.domain(), Domid(op.remote_dom))).value();
    return {};
}

Expected<void> bind_interdomain(Vcpu& vcpu, evtchn_bind_interdomain& op)
{
    const Ref<Domain> remote = TRY(domain_or_self(Domid(op.remote_dom), vcpu.domain()));
    op.local_port = TRY(own_events(vcpu).bind_interdomain(*remote, Evtchn_port(op.remote_port))).value();
    return {};
}

Expected<void> bind_virq(Vcpu& vcpu, evtchn_bind_virq& op)
{
    op.port = TRY(own_events(vcpu).bind_virq(op.virq, op.vcpu)).value();
    return {};
}

Expected<void> bind_ipi(Vcpu& vcpu, evtchn_bind_ipi& op)
{
    op.port = TRY(own_events(vcpu).bind_ipi(op.vcpu)).value();
    return {};
}

// Device interrupts reach a domain through its virtual APIC only, so no physical interrupt has a number
// here that could be bound.
Expected<void> bind_pirq(Vcpu&, const evtchn_bind_pirq&) { return fail(Errc::einval); }

Expected<void> close(Vcpu& vcpu, const evtchn_close& op)
{
    return own_events(vcpu).close(Evtchn_port(op.port));
}

Expected<void> send(Vcpu& vcpu, const evtchn_send& op) { return own_events(vcpu).send(Evtchn_port(op.port)); }

Expected<void> status(Vcpu& vcpu, evtchn_status& op)
{
    const domid_t named      = op.dom;
    const Ref<Domain> domain = TRY(domain_or_self(Domid(named), vcpu.domain()));
    op                       = TRY(domain->events().status(vcpu.domain(), Evtchn_port(op.port)));
    op.dom                   = named;
    return {};
}

Expected<void> bind_vcpu(Vcpu& vcpu, const evtchn_bind_vcpu& op)
{
    return own_events(vcpu).bind_vcpu(Evtchn_port(op.port), op.vcpu);
}

Expected<void> unmask(Vcpu& vcpu, const evtchn_unmask& op)
{
    return own_events(vcpu).unmask(Evtchn_port(op.port));
}

Expected<void> reset(Vcpu& vcpu, const evtchn_reset& op)
{
    const Ref<Domain> domain = TRY(domain_or_self(Domid(op.dom), vcpu.domain()));
    const bool own           = domain.get() == &vcpu.domain();
    if (!own && !vcpu.domain().is_control())
        return fail(Errc::eperm);
    if (!own && !domain->paused_by_control())
        return fail(Errc::einval); // it would lose events under its feet
    return domain->events().reset();
}

Expected<void> init_control(Vcpu& vcpu, evtchn_init_control& op)
{
    op.link_bits = EVTCHN_FIFO_LINK_BITS;
    return own_events(vcpu).init_control(op.vcpu, Gfn(op.control_gfn), op.offset);
}

Expected<void> expand_array(Vcpu& vcpu, const evtchn_expand_array& op)
{
    return own_events(vcpu).expand_array(Gfn(op.array_gfn));
}

Expected<void> set_priority(Vcpu& vcpu, const evtchn_set_priority& op)
{
    return own_events(vcpu).set_priority(Evtchn_port(op.port), op.priority);
}

// Everything but sending, kept out of its way.
[[gnu::noinline]] Hypercall_result manage(Vcpu& vcpu, u32 command, Gva arg)
{
    switch (command) {
    case EVTCHNOP_unmask: return with_argument(vcpu, arg, unmask);
    case EVTCHNOP_alloc_unbound: return with_argument(vcpu, arg, alloc_unbound);
    case EVTCHNOP_bind_interdomain: return with_argument(vcpu, arg, bind_interdomain);
    case EVTCHNOP_bind_virq: return with_argument(vcpu, arg, bind_virq);
    case EVTCHNOP_bind_ipi: return with_argument(vcpu, arg, bind_ipi);
    case EVTCHNOP_bind_pirq: return with_argument(vcpu, arg, bind_pirq);
    case EVTCHNOP_close: return with_argument(vcpu, arg, close);
    case EVTCHNOP_status: return with_argument(vcpu, arg, status);
    case EVTCHNOP_bind_vcpu: return with_argument(vcpu, arg, bind_vcpu);
    case EVTCHNOP_reset: return with_argument(vcpu, arg, reset);
    case EVTCHNOP_init_control: return with_argument(vcpu, arg, init_control);
    case EVTCHNOP_expand_array: return with_argument(vcpu, arg, expand_array);
    case EVTCHNOP_set_priority: return with_argument(vcpu, arg, set_priority);
    default: return fail(Errc::enosys);
    }
}

} // namespace

Hypercall_result do_event_channel_op(Vcpu& vcpu, Hypercall_args& args)
{
    const Gva arg(args.a[1]);
    const u32 command = static_cast<u32>(args.a[0]);
    return command == EVTCHNOP_send ? with_argument(vcpu, arg, send) : manage(vcpu, command, arg);
}

} // namespace vmm
