// SPDX-License-Identifier: Apache-2.0
//
// Closing ports: one, or all of them in bounded pieces.
#include "event/event_table.hpp"

#include <algorithm>

namespace vmm
{

namespace
{

// Ports looked at before the caller gets a chance to be interrupted.
constexpr u32 kPortsPerPiece = 256;

} // namespace

Ref<Domain> Event_table::peer_of(Evtchn_port port)
{
    const Lock_guard guard(lock_);
    const Channel* channel = find(port);
    if (!channel || channel->state != Channel::State::interdomain)
        return {};
    return Ref<Domain>::hold(*channel->remote);
}

void Event_table::close_locked(Evtchn_port port, Channel& channel)
{
    if (channel.state == Channel::State::interdomain) {
        Channel& far      = *channel.remote->events().find(Evtchn_port(channel.remote_port));
        far.state         = Channel::State::unbound;
        far.allowed_domid = domain_.id().value();
        far.remote        = nullptr;
    } else if (channel.state == Channel::State::virq) {
        // A global one stays in vCPU 0's list wherever its events go.
        for (Unique<Virq_ports>& ports : virqs_)
            if (ports && (*ports)[channel.virq] == port.value())
                (*ports)[channel.virq] = 0;
    }
    channel.state  = Channel::State::free;
    channel.remote = nullptr;
    channel.notify_vcpu.store(0, std::memory_order_relaxed);
    --open_ports_;
    lowest_free_ = std::min(lowest_free_, port.value());
    // Whoever binds the port next must not find this one's event.
    const Lock_guard delivery(delivery_);
    ops_->clear_pending(port, channel);
}

Expected<void> Event_table::close(Evtchn_port port)
{
    // Both ends are taken apart under both locks, and the other end is known only under this one's.
    const Ref<Domain> peer = peer_of(port);
    Event_table& other     = peer ? peer->events() : *this;
    const Lock_pair guard(lock_, other.lock_);
    Channel* channel = find(port);
    if (!channel || !channel->usable())
        return fail(Errc::einval);
    const Domain* remote = channel->state == Channel::State::interdomain ? channel->remote : nullptr;
    if (remote != peer.get())
        return fail(Errc::erestart);
    close_locked(port, *channel);
    return {};
}

Expected<void> Event_table::close_everything()
{
    u32 port       = 1;
    u32 piece_ends = 0;
    {
        const Lock_guard guard(lock_);
        port          = close_cursor_;
        piece_ends    = std::min(known_ports_.load(), port + kPortsPerPiece);
        close_cursor_ = piece_ends;
    }
    for (; port < piece_ends; ++port) {
        const Expected<void> closed = close(Evtchn_port(port));
        if (!closed && closed.error() == Errc::erestart)
            break; // still open: found again below
    }

    Unique<Fifo_ops> fifo;
    const Lock_guard guard(lock_);
    if (close_cursor_ < known_ports_)
        return fail(Errc::erestart);
    close_cursor_ = 1;
    if (open_ports_ != 0)
        return fail(Errc::erestart);
    const Lock_guard delivery(delivery_);
    ops_ = &bits_;
    fifo = std::move(fifo_);
    return {};
}

Expected<void> Event_table::reset() { return close_everything(); }

Expected<void> Event_table::close_all()
{
    {
        const Lock_guard guard(lock_);
        closed_ = true;
    }
    return close_everything();
}

} // namespace vmm
