// SPDX-License-Identifier: Apache-2.0
//
// Events by port, each with its vCPU: a function is called there, from the interrupt, for every event. Ports
// without one are the console's and the store's, whose events only have to end a halt of the first vCPU.
#pragma once

#include "domu_stress/trouble.hpp"

#include <xen/event_channel.h>

namespace vmm::stress::ports
{

using Handler = void (*)(void* of);

// Takes the upcalls from guest/events over. Before any vCPU has events.
void install();
// From now on; the port is bound to that vCPU.
void handle(evtchn_port_t port, u32 vcpu, Handler handler, void* of);
// Closes it; nobody may be sending.
void close(evtchn_port_t port);

} // namespace vmm::stress::ports
