// SPDX-License-Identifier: Apache-2.0
//
// Carries out a decoded instruction on a device and the guest's registers and flags. Pure apart from the
// device; RIP is the caller's. [APM1 3.3, APM3 3]
#pragma once

#include "domain/registers.hpp"
#include "emul/mmio_device.hpp"
#include "emul/mov_decoder.hpp"

namespace vmm
{

void perform(const Memory_instruction& instruction, Gpa gpa, Guest_registers& regs, Mmio_device& device);

} // namespace vmm
