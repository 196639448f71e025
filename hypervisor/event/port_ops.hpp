// SPDX-License-Identifier: Apache-2.0
//
// The seam between an event channel and the memory in which a guest sees its events: two-level bitmaps or
// FIFO queues [xen/include/public/event_channel.h]. Implementations know nothing of bindings; they are
// owned by an Event_table, and every call is made under its delivery lock. What they read back from the
// guest is never trusted for more than that guest's own events.
#pragma once

#include "event/channel.hpp"

namespace vmm
{

class Vcpu;

class Port_ops
{
  public:
    virtual ~Port_ops() = default;

    // Makes the event pending and, when it is not masked, visible to `vcpu`. False if it was pending.
    virtual bool set_pending(Evtchn_port port, Channel& channel, Vcpu& vcpu)              = 0;
    virtual void clear_pending(Evtchn_port port, Channel& channel)                        = 0;
    // Clears the mask and raises the upcall if the event was waiting for that.
    virtual void unmask(Evtchn_port port, Channel& channel, Vcpu& vcpu)                   = 0;
    [[nodiscard]] virtual bool is_pending(Evtchn_port port, const Channel& channel) const = 0;
    // The guest may still have the port in its queue: not to be given out again yet.
    [[nodiscard]] virtual bool is_busy(Evtchn_port port) const                            = 0;
    // Ports this form can express.
    [[nodiscard]] virtual u32 port_limit() const                                          = 0;
};

// Sets the vCPU's upcall flag; it is kicked only when the flag was clear.
void mark_upcall(Vcpu& vcpu);

} // namespace vmm
