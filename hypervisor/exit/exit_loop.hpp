// SPDX-License-Identifier: Apache-2.0
//
// One turn of the loop that is a hypervisor: get the vCPU ready (TLB, pending events), let it run, and do
// what its exit asks for. Vendor-neutral.
#pragma once

#include "base/types.hpp"

namespace vmm
{

class Vcpu;

void run_once(Vcpu& vcpu);

// Faults delivered to the guest.
void inject_undefined(Vcpu& vcpu);          // #UD
void inject_general_protection(Vcpu& vcpu); // #GP(0)

} // namespace vmm
