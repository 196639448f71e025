// SPDX-License-Identifier: Apache-2.0
//
// Keeps what a vCPU reads the clock by true while it runs, where the TSC is not the clock and may change its
// rate: written anew when it gets a CPU, and every now and then as long as it has it. An idle CPU does
// nothing. Where the TSC is the clock there is nothing to keep. For the scheduler.
#pragma once

#include "domain/time.hpp"

namespace vmm
{
class Vcpu;
}

namespace vmm::vcpu_clock
{

void follow(Vcpu& vcpu);
void leave();

// The vCPU runs on this CPU from now on; it does no longer.
inline void runs(Vcpu& vcpu)
{
    if (!tsc_info().is_clock) [[unlikely]]
        follow(vcpu);
}
inline void stopped()
{
    if (!tsc_info().is_clock) [[unlikely]]
        leave();
}

} // namespace vmm::vcpu_clock
