// SPDX-License-Identifier: Apache-2.0
#pragma once
// dom0's end of event channels through /dev/xen/evtchn (libxenevtchn): bind to another domain's port or to a
// virtual interrupt, notify, and be called when one fires. It owns its ports; they close with it. A port
// stays masked from the moment it fires until its callback has returned, so a flood from a guest costs one
// call per turn of the loop.

#include "toolstack/base/error.hpp"
#include "toolstack/xen/types.hpp"

#include <functional>
#include <memory>
#include <unordered_map>

extern "C" {
#include <xenevtchn.h>
}

namespace vmm
{

class Event_channel
{
  public:
    using Callback = std::function<void()>;

    [[nodiscard]] static Result<std::unique_ptr<Event_channel>> open();

    [[nodiscard]] int fd() const { return xenevtchn_fd(handle_.get()); } // readable when dispatch() has work

    [[nodiscard]] Result<Evtchn_port> bind_interdomain(Domid remote, Evtchn_port remote_port,
                                                       Callback callback);
    [[nodiscard]] Result<Evtchn_port> bind_virq(unsigned virq, Callback callback);
    void unbind(Evtchn_port port);
    [[nodiscard]] Result<void> notify(Evtchn_port port);

    // Calls back for one port that fired; false: none had. Level-triggered, but for what Event_pump says.
    bool dispatch();

  private:
    struct Close {
        void operator()(xenevtchn_handle* handle) const { xenevtchn_close(handle); }
    };

    explicit Event_channel(xenevtchn_handle* handle) : handle_(handle) {}
    Evtchn_port remember(xenevtchn_port_or_error_t port, Callback callback);

    std::unique_ptr<xenevtchn_handle, Close> handle_;
    std::unordered_map<std::uint32_t, std::shared_ptr<Callback>> callbacks_;
};

} // namespace vmm
