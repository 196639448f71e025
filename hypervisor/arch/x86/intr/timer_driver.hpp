// SPDX-License-Identifier: Apache-2.0
//
// The local APIC's timer as the hardware behind this CPU's Timer_queue (sched/timer.hpp).
#pragma once

#include "base/expected.hpp"

namespace vmm
{

// After the clock and the local APIC. Enxio: the timer does not count.
Expected<void> init_timer();

} // namespace vmm
