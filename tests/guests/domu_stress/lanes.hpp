// SPDX-License-Identifier: Apache-2.0
//
// Ways from each vCPU of this domain to each, itself too: messages of the APIC, event channels for such
// messages, and channels of the domain with itself whose receiving end is bound to the vCPU. On each lane the
// next one is sent when the last has arrived, so both sides' counts say whether one was lost or came twice.
#pragma once

#include "domu_stress/worker.hpp"

namespace vmm::stress::lanes
{

// Makes all of them, for `processors` vCPUs.
void open();
// Sends on one, if what was sent there before has arrived.
void send(Worker& from);
// All that this vCPU sent has arrived; what did not for too long is trouble.
bool quiet(Worker& from);
// After a last wait: counts of all lanes agree.
void compare();

} // namespace vmm::stress::lanes
