// SPDX-License-Identifier: Apache-2.0
//
// Which hardware virtualisation this machine has, found once at boot. Above this line nobody asks for the
// vendor.
#pragma once

#include "domain/vcpu_backend.hpp"

#include <array>

namespace vmm
{

class Vcpu;

// Turns virtualisation on for this CPU: the boot CPU first, which finds out what there is. Enomem; einval,
// after a line in the log, when the CPU lacks something.
Expected<void> enable_virtualisation();
// One line in the log: what of it is used. After it was turned on for the CPU that boots.
void report_virtualisation();
Expected<Unique<Vcpu_backend>> create_backend(Vcpu& vcpu);

// The instruction by which a guest calls the hypervisor.
using Hypercall_instruction = std::array<u8, 3>;
Hypercall_instruction hypercall_instruction();

} // namespace vmm
