// SPDX-License-Identifier: Apache-2.0
#include "event/event_table.hpp"

#include "base/bits.hpp"
#include "domain/vcpu.hpp"

#include <algorithm>

namespace vmm
{

Expected<Unique<Event_table>> Event_table::create(Domain& domain, u32 max_ports)
{
    const u32 limit           = std::min<u32>(max_ports, EVTCHN_FIFO_NR_CHANNELS);
    Unique<Event_table> table = TRY(make_unique<Event_table>(domain, limit));
    table->buckets_[0]        = TRY(make_unique<Channel_bucket>());
    table->known_ports_.store(kChannelsPerBucket, std::memory_order_relaxed);
    table->find(Evtchn_port(0))->state = Channel::State::reserved; // "no port" in every structure of the ABI
    return table;
}

Channel* Event_table::find(Evtchn_port port) const
{
    const u32 known = known_ports_.load(std::memory_order_acquire);
    if (port.value() >= known) [[unlikely]]
        return nullptr;
    const u64 n = clip_index(port.value(), known);
    return &(*buckets_[n / kChannelsPerBucket])[n % kChannelsPerBucket];
}

Expected<Evtchn_port> Event_table::free_port()
{
    if (closed_)
        return fail(Errc::einval);
    const u32 limit = std::min(max_ports_, ops_->port_limit());
    for (u32 n = lowest_free_; n < limit; ++n) {
        const Evtchn_port port(n);
        if (n == known_ports_.load(std::memory_order_relaxed)) {
            buckets_[n / kChannelsPerBucket] = TRY(make_unique<Channel_bucket>());
            known_ports_.store(n + kChannelsPerBucket, std::memory_order_release);
        }
        if (find(port)->state == Channel::State::free && !ops_->is_busy(port))
            return port;
    }
    return fail(Errc::enospc);
}

Channel& Event_table::open(Evtchn_port port, Channel::State state, u32 vcpu)
{
    Channel& channel = *find(port);
    channel.state    = state;
    channel.notify_vcpu.store(static_cast<u16>(vcpu), std::memory_order_relaxed);
    if (port.value() == lowest_free_)
        ++lowest_free_;
    ++open_ports_;
    const Lock_guard guard(delivery_);
    channel.priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
    return channel;
}

void Event_table::wake_pollers()
{
    for (u64 waiting = pollers_.exchange(0); waiting != 0; waiting &= waiting - 1)
        domain_.vcpu(static_cast<u64>(std::countr_zero(waiting)))->wake();
}

[[gnu::always_inline]] inline void Event_table::deliver_inline(Evtchn_port port, Channel& channel)
{
    Vcpu* vcpu = domain_.vcpu(channel.notify_vcpu.load(std::memory_order_relaxed));
    if (!vcpu)
        return;
    bool fresh = false;
    {
        const Lock_guard guard(delivery_);
        fresh = ops_->set_pending(port, channel, *vcpu);
    }
    if (fresh && pollers_.load() != 0) [[unlikely]]
        wake_pollers();
}

void Event_table::deliver(Evtchn_port port, Channel& channel) { deliver_inline(port, channel); }

Expected<void> Event_table::send(Evtchn_port port)
{
    const Lock_guard guard(lock_);
    Channel* channel = find(port);
    if (!channel)
        return fail(Errc::einval);
    switch (channel->state) {
    case Channel::State::interdomain: {
        Event_table& remote = channel->remote->events();
        const Evtchn_port remote_port(channel->remote_port);
        remote.deliver_inline(remote_port, *remote.find(remote_port));
        return {};
    }
    case Channel::State::ipi: deliver_inline(port, *channel); return {};
    case Channel::State::unbound: // the other end closed, or did not connect yet: lost without complaint
        return {};
    default: return fail(Errc::einval);
    }
}

Expected<void> Event_table::unmask(Evtchn_port port)
{
    const Lock_guard guard(lock_);
    Channel* channel = find(port);
    if (!channel)
        return fail(Errc::einval);
    Vcpu* vcpu = domain_.vcpu(channel->notify_vcpu.load(std::memory_order_relaxed));
    if (!channel->usable() || !vcpu)
        return {};
    const Lock_guard delivery(delivery_);
    ops_->unmask(port, *channel, *vcpu);
    return {};
}

Expected<bool> Event_table::is_pending(Evtchn_port port)
{
    const Lock_guard guard(lock_);
    const Channel* channel = find(port);
    if (!channel)
        return fail(Errc::einval);
    if (!channel->usable())
        return false;
    const Lock_guard delivery(delivery_);
    return ops_->is_pending(port, *channel);
}

void Event_table::raise(u32 vcpu, u32 virq)
{
    const Lock_guard guard(lock_);
    const Virq_ports* ports = virqs_[vcpu].get();
    if (!ports || (*ports)[virq] == 0)
        return;
    const Evtchn_port port((*ports)[virq]);
    deliver(port, *find(port));
}

void Event_table::raise_virq(Vcpu& vcpu, u32 virq) { raise(vcpu.id().value(), virq); }

void Event_table::raise_global_virq(u32 virq) { raise(0, virq); }

} // namespace vmm
