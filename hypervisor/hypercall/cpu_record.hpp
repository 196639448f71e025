// SPDX-License-Identifier: Apache-2.0
//
// One vCPU's registers to and from the CPU record of the HVM context.
#pragma once

#include "base/expected.hpp"

#include <xen/hvm/save.h>
#include <xen/xen.h>

namespace vmm
{

class Vcpu;

void save_cpu_record(const Vcpu& vcpu, hvm_hw_cpu& record);
Expected<void> load_cpu_record(Vcpu& vcpu, const hvm_hw_cpu& record);

} // namespace vmm
