// SPDX-License-Identifier: Apache-2.0
//
// What CPUID tells a vCPU: its domain's policy, what of it depends on the vCPU and its registers, and Xen's
// leaves. Pure.
// [APM3 Appendix E; xen/include/public/arch-x86/cpuid.h]
#pragma once

#include "domain/time.hpp"
#include "exit/cpu_policy.hpp"

namespace vmm
{

// What the answer depends on besides the leaf.
struct Cpuid_context {
    u32 vcpu_id;
    u32 apic_id;
    u32 max_vcpus;
    u16 domid;
    u64 xcr0; // for the size of the XSAVE area in use
    u64 cr4;
    const Tsc_info& tsc;
};

Cpuid guest_cpuid(const Cpu_policy& policy, u32 leaf, u32 subleaf, const Cpuid_context& context);

inline constexpr u32 kXenLeaves        = 0x40000000;
inline constexpr u32 kHypercallPageMsr = 0x40000000;
inline constexpr u32 kXenVersionMajor  = 4;
inline constexpr u32 kXenVersionMinor  = 17;

} // namespace vmm
