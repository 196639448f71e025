// SPDX-License-Identifier: Apache-2.0
//
// Completes a guest's access to a trapped page: fetches the instruction at CS:RIP, decodes it, has the
// device answer, and moves RIP on. An instruction that is not emulated becomes #GP in the guest, with a
// line in the log: it harms nobody but the guest that chose it.
#pragma once

#include "emul/mmio_device.hpp"
#include "exit/vm_exit.hpp"

namespace vmm
{

class Vcpu;

void emulate_mmio(Vcpu& vcpu, const Nested_fault& fault, Mmio_device& device);

} // namespace vmm
