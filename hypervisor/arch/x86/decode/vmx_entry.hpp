// SPDX-License-Identifier: Apache-2.0
//
// Why VT-x refuses to enter a guest. The CPU itself only tells in which part of the VMCS it found something;
// find_entry_fault() goes through the rules and names the field. Pure, over a function that reads fields, so
// that it is tested on VMCSs that exist only on paper. It knows the rules for what this hypervisor sets:
// 64-bit host, unrestricted guests, no SMM, no shadow VMCS. [SDM3 27.2, 27.3, 27.8, 31.4]
#pragma once

#include "arch/x86/decode/vmx_capabilities.hpp"
#include "arch/x86/regs/vmcs.hpp"

#include <optional>

namespace vmm::vmx
{

// The first rule that is broken, in the order of the manual.
struct Entry_fault {
    std::string_view owner; // "guest SS", "host", "control"
    std::string_view field; // "access rights"
    u64 value;
    std::string_view rule; // what has to be so
};

struct Entry_rules {
    const Capabilities& capabilities;
    unsigned physical_bits; // width of a physical address
    u8 virtual_tpr;         // in the virtual-APIC page
};

using Read_field = u64 (*)(Field);
std::optional<Entry_fault> find_entry_fault(Read_field read, const Entry_rules& rules);

// What the CPU said itself: by the VM-instruction error when it did not enter at all, by the exit when it
// gave up on the way.
std::string_view instruction_error_words(u64 error);
std::string_view entry_exit_words(u32 exit_reason, u64 qualification);

} // namespace vmm::vmx
