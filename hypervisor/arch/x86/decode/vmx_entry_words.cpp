// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/decode/vmx_entry.hpp"

namespace vmm::vmx
{

// Those of the two entry instructions. [SDM3 31.4, table 31-1]
std::string_view instruction_error_words(u64 error)
{
    switch (error) {
    case 4: return "VMLAUNCH of a VMCS that was launched before";
    case 5: return "VMRESUME of a VMCS that was not launched";
    case 7: return "a control field is invalid";
    case 8: return "a host-state field is invalid";
    case 26: return "an entry right after MOV SS";
    default: return "an error that entries do not have";
    }
}

// [SDM3 27.8]
std::string_view entry_exit_words(u32 exit_reason, u64 qualification)
{
    switch (exit_reason & reason::mask) {
    case reason::guest_state:
        switch (qualification) {
        case 2: return "the guest's page-directory-pointer entries cannot be loaded";
        case 3: return "an NMI is to be injected where it is blocked";
        case 4: return "the VMCS link pointer is invalid";
        default: return "the guest's state is invalid";
        }
    case reason::msr_loading: return "an MSR of the entry's load list cannot be loaded";
    case reason::machine_check: return "a machine check came while it was loaded";
    default: return "the CPU gave up on it for a reason that entries do not have";
    }
}

} // namespace vmm::vmx
