// SPDX-License-Identifier: Apache-2.0
#include "toolstack/xen/event_channel.hpp"

#include <fcntl.h>

#include <string>
#include <utility>

namespace vmm
{

Result<std::unique_ptr<Event_channel>> Event_channel::open()
{
    xenevtchn_handle* handle = xenevtchn_open(nullptr, 0);
    if (handle == nullptr) {
        return fail_errno("cannot open /dev/xen/evtchn (is the module xen-evtchn loaded?)");
    }
    std::unique_ptr<Event_channel> channel(new Event_channel(handle));
    // dispatch() may be called for a port that was unbound since; it must not block then.
    const int flags = fcntl(channel->fd(), F_GETFL);
    if (flags < 0 || fcntl(channel->fd(), F_SETFL, flags | O_NONBLOCK) < 0) {
        return fail_errno("cannot make /dev/xen/evtchn non-blocking");
    }
    return channel;
}

Evtchn_port Event_channel::remember(xenevtchn_port_or_error_t port, Callback callback)
{
    const Evtchn_port bound{static_cast<std::uint32_t>(port)};
    callbacks_[raw(bound)] = std::make_shared<Callback>(std::move(callback));
    return bound;
}

Result<Evtchn_port> Event_channel::bind_interdomain(Domid remote, Evtchn_port remote_port, Callback callback)
{
    const auto port = xenevtchn_bind_interdomain(handle_.get(), raw(remote), raw(remote_port));
    if (port < 0) {
        return fail_errno("cannot bind event channel port " + std::to_string(raw(remote_port)) +
                          " of domain " + to_string(remote));
    }
    return remember(port, std::move(callback));
}

Result<Evtchn_port> Event_channel::bind_virq(unsigned virq, Callback callback)
{
    const auto port = xenevtchn_bind_virq(handle_.get(), virq);
    if (port < 0) {
        return fail_errno("cannot bind virtual interrupt " + std::to_string(virq) +
                          " (does another daemon, say xenstored, hold it?)");
    }
    return remember(port, std::move(callback));
}

void Event_channel::unbind(Evtchn_port port)
{
    if (callbacks_.erase(raw(port)) != 0) {
        xenevtchn_unbind(handle_.get(), raw(port));
    }
}

Result<void> Event_channel::notify(Evtchn_port port)
{
    if (xenevtchn_notify(handle_.get(), raw(port)) < 0) {
        return fail_errno("cannot notify event channel port " + std::to_string(raw(port)));
    }
    return {};
}

bool Event_channel::dispatch()
{
    const auto fired = xenevtchn_pending(handle_.get());
    if (fired < 0) {
        return false; // nothing waiting after all
    }
    const auto port = static_cast<std::uint32_t>(fired);
    if (const auto found = callbacks_.find(port); found != callbacks_.end()) {
        const std::shared_ptr<Callback> keep = found->second; // the callback may unbind its own port
        (*keep)();
    }
    if (callbacks_.contains(port)) {
        xenevtchn_unmask(handle_.get(), port);
    }
    return true;
}

} // namespace vmm
