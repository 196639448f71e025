// SPDX-License-Identifier: Apache-2.0
//
// What the hypervisor must know of the CPU it runs on, and whether that CPU will do. Decisions are pure
// functions over what CPUID and two MSRs say, so that they are tested against machines we do not have.
#pragma once

#include "base/types.hpp"

#include <string_view>

namespace vmm
{

struct Cpu_facts {
    enum class Vendor : u8 { amd, intel, other };

    Vendor vendor                 = Vendor::other;
    unsigned physical_bits        = 36; // width of a physical address
    bool gigabyte_pages           = false;
    bool pat                      = false;
    bool smep                     = false;
    bool smap                     = false;
    bool umip                     = false;
    // AMD-V. [APM2 15.4]
    bool svm                      = false;
    bool svm_disabled_by_firmware = false; // VM_CR.SVMDIS
    bool nested_paging            = false;
    // VT-x; what more it has to have is in its own MSRs (arch/x86/vmx). [SDM3 24.6, 24.7]
    bool vmx                      = false;
    bool vmx_disabled_by_firmware = false;
};

Cpu_facts read_cpu_facts();

// Why this CPU cannot run guests, in one sentence with what to do about it; empty when it can.
std::string_view why_no_guests(const Cpu_facts& cpu);

} // namespace vmm
