// SPDX-License-Identifier: Apache-2.0
//
// The way to hear of the one-shot timer: shared page, event vector, VIRQ_TIMER.
#pragma once

#include "guest/events.hpp"

namespace vmm::guest_test
{

// Once, at a guest's start. Its handler then gets the event each time the timer fires.
void listen_to_timer(guest::events::Handler on_timer);

} // namespace vmm::guest_test
