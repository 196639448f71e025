// SPDX-License-Identifier: Apache-2.0
#include "guest/alarm.hpp"

#include "guest/events.hpp"
#include "guest/hypercall.hpp"

namespace vmm::guest
{

void wake_at(u64 when)
{
    static constinit bool bound = false;
    if (!bound) {
        if (const s64 port = events::bind_virq(VIRQ_TIMER); port > 0)
            events::listen(static_cast<evtchn_port_t>(port), events::ignore);
        bound = true;
    }
    set_timer(when);
}

} // namespace vmm::guest
