// SPDX-License-Identifier: Apache-2.0
//
// Floating-point and vector state. The hypervisor itself uses none (-mgeneral-regs-only), so it is switched
// only when a vCPU gets or loses the CPU. Areas are one page: enough for x87, SSE, AVX, AVX-512 and PKRU,
// which is all a guest may enable. [APM2 11.5, SDM1 13]
#pragma once

#include "base/types.hpp"

#include <cstddef>

namespace vmm
{

struct Cpu_facts;

// CR0/CR4/XCR0 of this CPU for saving and restoring; finds out what the CPU has.
void enable_fpu_on_this_cpu(const Cpu_facts& cpu);

// The XCR0 bits guests may use; 0 when the CPU has no XSAVE.
[[nodiscard]] u64 guest_xcr0_mask();

// Bytes of an area that are used: XSAVE's for all the guest may enable, FXSAVE's 512 without XSAVE.
[[nodiscard]] u32 fpu_area_size();
void init_fpu_area(std::byte* area);
// x87 and SSE are what the legacy region says, not in their initial state.
void mark_legacy_fpu_used(std::byte* area);
// Makes an area of unknown contents one that restore_fpu() can load: what the CPU would refuse is cleared.
void sanitise_fpu_area(std::byte* area);
void save_fpu(std::byte* area);
// Restores and leaves the guest's XCR0 in force.
void restore_fpu(const std::byte* area, u64 guest_xcr0);
void set_guest_xcr0(u64 value);
// What the guest has there now. Not every CPU tells of XSETBV: QEMU's TCG has no intercept for it.
[[nodiscard]] u64 read_guest_xcr0();

} // namespace vmm
