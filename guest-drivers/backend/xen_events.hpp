// SPDX-License-Identifier: Apache-2.0
#pragma once
// The event channels of a real domain.

#include "guest-drivers/backend/events.hpp"
#include "toolstack/xen/event_channel.hpp"

namespace vmm::block
{

class Xen_events final : public Events
{
  public:
    Xen_events(Event_channel& channel, Domid frontend) : channel_(channel), frontend_(frontend) {}

    [[nodiscard]] Result<Evtchn_port> bind(Evtchn_port remote, std::function<void()> rung) override
    {
        return channel_.bind_interdomain(frontend_, remote, std::move(rung));
    }
    void unbind(Evtchn_port port) override { channel_.unbind(port); }
    // It fails only when the domain is gone, which the store tells.
    void notify(Evtchn_port port) override { (void)channel_.notify(port); }

  private:
    Event_channel& channel_;
    Domid frontend_;
};

} // namespace vmm::block
