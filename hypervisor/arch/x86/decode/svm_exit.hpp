// SPDX-License-Identifier: Apache-2.0
//
// From the exit fields of a VMCB to the neutral Vm_exit. Pure, so that recorded exits can be replayed in
// tests. The instruction length is left 0 where the VMCB does not tell it; exiting_instruction() says which
// instruction then has to be measured.
#pragma once

#include "arch/x86/decode/instruction_length.hpp"
#include "arch/x86/regs/vmcb.hpp"
#include "exit/vm_exit.hpp"

namespace vmm::svm
{

Vm_exit decode_exit(const Vmcb& vmcb, u32 msr_index);

// The instruction behind an exit whose length the CPU could have saved, if any.
std::optional<Intercepted_instruction> exiting_instruction(u64 exitcode, bool msr_write);

} // namespace vmm::svm
