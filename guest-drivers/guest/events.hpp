// SPDX-License-Identifier: Apache-2.0
//
// Event channels in the two-level form: binding, masking, and calling a function for each port that became
// pending. Needs map_shared_info() and, for the calls, set_event_vector(). Ports start masked.
#pragma once

#include "guest/types.hpp"

#include <xen/event_channel.h>
#include <xen/xen.h>

namespace vmm::guest::events
{

using Handler = void (*)(evtchn_port_t port);

// Negative errno, or the port.
s64 alloc_unbound(domid_t remote);
s64 alloc_unbound_for(domid_t domain, domid_t remote);
s64 bind_interdomain(domid_t remote, evtchn_port_t remote_port);
s64 bind_virq(u32 virq, u32 vcpu = 0);
s64 bind_ipi(u32 vcpu);
s64 close(evtchn_port_t port);
s64 send(evtchn_port_t port);

// Starts calling `handler` for each event on the port, from the interrupt.
void listen(evtchn_port_t port, Handler handler);
// For ports whose events only have to end a wait.
inline void ignore(evtchn_port_t) {}
void mask(evtchn_port_t port);
void unmask(evtchn_port_t port);
[[nodiscard]] bool pending(evtchn_port_t port);
void clear(evtchn_port_t port);

// The interrupt handler for kEventVector; install() sets it.
void install();

// Sleeps with interrupts on until `done` says so. Interrupts are off on entry and on return.
template <class Predicate>
void wait_until(Predicate done)
{
    while (!done())
        asm volatile("sti; hlt; cli" : : : "memory");
}

} // namespace vmm::guest::events
