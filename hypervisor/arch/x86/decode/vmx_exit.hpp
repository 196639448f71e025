// SPDX-License-Identifier: Apache-2.0
//
// From the exit fields of a VMCS to the neutral Vm_exit. Pure, so that recorded exits can be replayed in
// tests. [SDM3 28.2, Appendix C]
#pragma once

#include "base/bits.hpp"
#include "exit/vm_exit.hpp"

#include <optional>

namespace vmm::vmx
{

inline constexpr u32 kEntryFailed = bit(31); // in the reason: the guest did not run

// The fields, as read after an exit; those that have no meaning for its reason may hold anything.
struct Exit_fields {
    u32 reason             = 0;
    u64 qualification      = 0;
    u64 gpa                = 0;
    u32 event              = 0;
    u32 error_code         = 0;
    u32 instruction_length = 0;
};

Vm_exit decode_exit(const Exit_fields& fields, u32 msr_index);

// MOV to a control register. Of the other accesses none exits, since guests own the bits that they change.
// [SDM3 table 28-3]
struct Move_to_control_register {
    u8 number;  // of the control register
    u8 general; // of the general register
};
std::optional<Move_to_control_register> decode_control_register(u64 qualification);

} // namespace vmm::vmx
