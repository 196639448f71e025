// SPDX-License-Identifier: Apache-2.0
#include "lib/timer_event.hpp"

#include "guest/platform.hpp"
#include "lib/verdict.hpp"

namespace vmm::guest_test
{

using namespace vmm::guest;

void listen_to_timer(events::Handler on_timer)
{
    NEED(map_shared_info() == 0);
    NEED(set_event_vector() == 0);
    events::install();
    const s64 port = events::bind_virq(VIRQ_TIMER);
    NEED(port > 0);
    events::listen(static_cast<evtchn_port_t>(port), on_timer);
}

} // namespace vmm::guest_test
