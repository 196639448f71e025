// SPDX-License-Identifier: Apache-2.0
//
// VT-x on this physical CPU: turning it on, the controls its guests run with, the pages it needs, the host
// state that every exit returns to, and its VPIDs. [SDM3 24.7, 27.2]
#pragma once

#include "arch/x86/address_space_ids.hpp"
#include "arch/x86/decode/vmx_capabilities.hpp"
#include "base/expected.hpp"

namespace vmm::vmx
{

// VMXON. The CPU is known to have VT-x, not disabled by the firmware. Einval, after a line in the log, when
// it lacks something that guests need.
Expected<void> enable_on_this_cpu();

// To the log: what is used.
void report();

[[nodiscard]] const Capabilities& capabilities();
[[nodiscard]] const Controls& controls();
// Width of a physical address.
[[nodiscard]] unsigned physical_bits();
// Bits of CR0 and CR4 that a guest's register must have set or may have set. [SDM3 A.7, A.8]
[[nodiscard]] u64 cr0_must();
[[nodiscard]] u64 cr4_must();
[[nodiscard]] u64 cr4_may();

// Marks a page with the CPU's revision of the VMCS.
void init_vmcs_region(Hpa at);

// Of this CPU.
[[nodiscard]] Address_space_ids& vpids();

// Which MSRs a guest reaches without an exit, for vCPUs whose x2APIC the CPU works, for those that use
// SPEC_CTRL themselves, and for others.
[[nodiscard]] Hpa msr_bitmap(bool apic, bool spec_ctrl);

// Fills in the host part of the current VMCS, but for RSP and RIP.
void write_host_state();

// The VMCS that the instructions work on, changed only if it is another one.
void make_current(Hpa vmcs);
void forget_current(Hpa vmcs);

} // namespace vmm::vmx
