// SPDX-License-Identifier: Apache-2.0
//
// Opening ports, and what may be asked about them. [xen/include/public/event_channel.h]
#include "event/event_table.hpp"

#include "domain/vcpu.hpp"

namespace vmm
{

namespace
{

// Virtual interrupts that exist once a vCPU; all others exist once a domain and are first bound to vCPU 0.
constexpr bool is_per_vcpu(u32 virq)
{
    return virq == VIRQ_TIMER || virq == VIRQ_DEBUG || virq == VIRQ_XENOPROF || virq == VIRQ_XENPMU;
}

bool may_act_for(const Domain& caller, const Domain& target)
{
    return &caller == &target || caller.is_control();
}

} // namespace

Expected<Evtchn_port> Event_table::alloc_unbound(const Domain& caller, Domid remote)
{
    const Lock_guard guard(lock_);
    const Evtchn_port port = TRY(free_port());
    if (!may_act_for(caller, domain_))
        return fail(Errc::eperm);
    Channel& channel      = open(port, Channel::State::unbound, 0);
    channel.allowed_domid = remote == kDomidSelf ? caller.id().value() : remote.value();
    return port;
}

Expected<Evtchn_port> Event_table::bind_interdomain(Domain& remote, Evtchn_port remote_port)
{
    Event_table& other = remote.events();
    const Lock_pair guard(lock_, other.lock_);
    const Evtchn_port port = TRY(free_port());
    Channel* far           = other.find(remote_port);
    if (!far || far->state != Channel::State::unbound || far->allowed_domid != domain_.id().value())
        return fail(Errc::einval);

    Channel& near    = open(port, Channel::State::interdomain, 0);
    near.remote      = &remote;
    near.remote_port = remote_port.value();
    far->state       = Channel::State::interdomain;
    far->remote      = &domain_;
    far->remote_port = port.value();
    // The other end may have sent before anybody listened: tell this end to have a look.
    deliver(port, near);
    return port;
}

Expected<Event_table::Virq_ports*> Event_table::virq_ports(u32 vcpu)
{
    Unique<Virq_ports>& ports = virqs_[vcpu];
    if (!ports)
        ports = TRY(make_unique<Virq_ports>());
    return ports.get();
}

Expected<Evtchn_port> Event_table::bind_virq(u32 virq, u32 vcpu)
{
    if (virq >= NR_VIRQS || (!is_per_vcpu(virq) && vcpu != 0))
        return fail(Errc::einval);
    if (!domain_.vcpu(vcpu))
        return fail(Errc::enoent);

    const Lock_guard guard(lock_);
    Virq_ports& ports = *TRY(virq_ports(vcpu));
    if (ports[virq] != 0)
        return fail(Errc::eexist);
    const Evtchn_port port = TRY(free_port());
    Channel& channel       = open(port, Channel::State::virq, vcpu);
    channel.virq           = virq;
    ports[virq]            = port.value();
    return port;
}

Expected<Evtchn_port> Event_table::bind_ipi(u32 vcpu)
{
    if (!domain_.vcpu(vcpu))
        return fail(Errc::enoent);
    const Lock_guard guard(lock_);
    const Evtchn_port port = TRY(free_port());
    open(port, Channel::State::ipi, vcpu);
    return port;
}

Expected<void> Event_table::bind_vcpu(Evtchn_port port, u32 vcpu)
{
    if (!domain_.vcpu(vcpu))
        return fail(Errc::enoent);
    const Lock_guard guard(lock_);
    Channel* channel = find(port);
    if (!channel)
        return fail(Errc::einval);
    switch (channel->state) {
    case Channel::State::virq:
        if (is_per_vcpu(channel->virq))
            return fail(Errc::einval);
        break;
    case Channel::State::unbound:
    case Channel::State::interdomain: break;
    default: return fail(Errc::einval);
    }
    channel->notify_vcpu.store(static_cast<u16>(vcpu), std::memory_order_relaxed);
    return {};
}

Expected<evtchn_status> Event_table::status(const Domain& caller, Evtchn_port port)
{
    const Lock_guard guard(lock_);
    const Channel* channel = find(port);
    if (!channel)
        return fail(Errc::einval);
    if (!may_act_for(caller, domain_))
        return fail(Errc::eperm);

    evtchn_status status{};
    status.port = port.value();
    status.vcpu = channel->notify_vcpu.load(std::memory_order_relaxed);
    switch (channel->state) {
    case Channel::State::free:
    case Channel::State::reserved: status.status = EVTCHNSTAT_closed; break;
    case Channel::State::unbound:
        status.status        = EVTCHNSTAT_unbound;
        status.u.unbound.dom = channel->allowed_domid;
        break;
    case Channel::State::interdomain:
        status.status             = EVTCHNSTAT_interdomain;
        status.u.interdomain.dom  = channel->remote->id().value();
        status.u.interdomain.port = channel->remote_port;
        break;
    case Channel::State::virq:
        status.status = EVTCHNSTAT_virq;
        status.u.virq = channel->virq;
        break;
    case Channel::State::ipi: status.status = EVTCHNSTAT_ipi; break;
    }
    return status;
}

void Event_table::adopt_pending_bits()
{
    const u32 end = std::min(known_ports_.load(), bits_.port_limit());
    for (u32 n = 1; n < end; ++n) {
        Channel& channel = *find(Evtchn_port(n));
        if (channel.usable())
            channel.pending = bits_.is_pending(Evtchn_port(n), channel);
    }
}

Expected<void> Event_table::init_control(u32 vcpu_id, Gfn control, u32 offset)
{
    Vcpu* vcpu = domain_.vcpu(vcpu_id);
    if (!vcpu)
        return fail(Errc::enoent);
    if (offset > kPageSize - sizeof(evtchn_fifo_control_block) || offset % 8 != 0)
        return fail(Errc::einval);

    const Lock_guard guard(lock_);
    const Lock_guard delivery(delivery_);
    if (fifo_)
        return fifo_->set_control_block(*vcpu, control, offset);

    Unique<Fifo_ops> fifo = TRY(make_unique<Fifo_ops>(domain_));
    TRY(fifo->set_control_block(*vcpu, control, offset));
    adopt_pending_bits();
    fifo_ = std::move(fifo);
    ops_  = fifo_.get();
    return {};
}

Expected<void> Event_table::expand_array(Gfn page)
{
    const Lock_guard guard(lock_);
    {
        const Lock_guard delivery(delivery_);
        if (!fifo_)
            return fail(Errc::eopnotsupp);
        const u32 first = TRY(fifo_->add_page(page));
        const u32 end   = std::min(known_ports_.load(), first + Fifo_ops::kWordsPerPage);
        for (u32 n = first; n < end; ++n) {
            Channel& channel = *find(Evtchn_port(n));
            Vcpu* vcpu       = domain_.vcpu(channel.notify_vcpu.load(std::memory_order_relaxed));
            if (vcpu && std::exchange(channel.pending, false))
                fifo_->set_pending(Evtchn_port(n), channel, *vcpu);
        }
    }
    wake_pollers();
    return {};
}

Expected<void> Event_table::set_priority(Evtchn_port port, u32 priority)
{
    const Lock_guard guard(lock_);
    Channel* channel = find(port);
    if (!channel)
        return fail(Errc::einval);
    const Lock_guard delivery(delivery_);
    if (!fifo_)
        return fail(Errc::enosys);
    if (!channel->usable())
        return fail(Errc::eacces);
    if (priority > EVTCHN_FIFO_PRIORITY_MIN)
        return fail(Errc::einval);
    channel->priority = static_cast<u8>(priority);
    return {};
}

} // namespace vmm
