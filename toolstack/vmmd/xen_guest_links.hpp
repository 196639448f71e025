// SPDX-License-Identifier: Apache-2.0
#pragma once
// Guest_links over the kernel's Xen devices.

#include "toolstack/vmmd/guest_links.hpp"
#include "toolstack/xen/build_control.hpp"
#include "toolstack/xen/event_channel.hpp"
#include "toolstack/xen/guest_pages.hpp"

namespace vmm
{

class Xen_guest_links final : public Guest_links
{
  public:
    Xen_guest_links(Event_channel& events, Grant_memory grants, Build_control& memory)
        : events_(events), grants_(std::move(grants)), memory_(memory)
    {
    }

    Result<Mapped_pages> map_ring(Domid id, Ring ring, Gfn page) override;
    Result<Evtchn_port> bind(Domid id, Evtchn_port port, std::function<void()> callback) override;
    void unbind(Evtchn_port local) override { events_.unbind(local); }
    void notify(Evtchn_port local) override;

  private:
    Event_channel& events_;
    Grant_memory grants_;
    Build_control& memory_;
};

} // namespace vmm
