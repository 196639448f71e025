// SPDX-License-Identifier: Apache-2.0
//
// One turn of the loop that is a hypervisor: get the vCPU ready (TLB, pending events), let it run, and do
// what its exit asks for. Vendor-neutral.
#pragma once

#include "base/types.hpp"

namespace vmm
{

class Vcpu;
struct Vm_exit;

void run_once(Vcpu& vcpu);

// Exposed for tests, which script exits.
void prepare_entry(Vcpu& vcpu);
void handle_exit(Vcpu& vcpu, const Vm_exit& exit);

// Faults delivered to the guest.
void inject_undefined(Vcpu& vcpu);          // #UD
void inject_general_protection(Vcpu& vcpu); // #GP(0)

} // namespace vmm
