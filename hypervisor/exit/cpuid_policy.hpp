// SPDX-License-Identifier: Apache-2.0
//
// What CPUID tells a vCPU: its domain's policy, what of it depends on the vCPU and its registers, and Xen's
// leaves. Pure.
// [APM3 Appendix E; xen/include/public/arch-x86/cpuid.h]
#pragma once

#include "base/bits.hpp"
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
    const Tsc_info& (*tsc)();
};

constexpr bool depends_on_cr4(u32 leaf) { return leaf == 1 || leaf == 7; }
constexpr bool depends_on_xcr0(u32 leaf) { return leaf == 0xd; }

inline constexpr u32 kXenLeaves        = 0x40000000;
inline constexpr u32 kHypercallPageMsr = 0x40000000;
inline constexpr u32 kXenVersionMajor  = 4;
inline constexpr u32 kXenVersionMinor  = 17;

// The leaves that have more than a policy's words, for the other makers of CPUs as well.
Cpuid xen_leaf(const Cpu_policy& policy, u32 leaf, u32 subleaf, const Cpuid_context& context);
Cpuid topology_leaf(u32 subleaf, const Cpuid_context& context);
void tell_of_cores(const Cpu_policy& policy, u32 leaf, const Cpuid_context& context, Cpuid& told);

// In the header, so that of the context only what the leaf needs is looked up.
[[gnu::always_inline]] inline Cpuid guest_cpuid(const Cpu_policy& policy, u32 leaf, u32 subleaf,
                                                const Cpuid_context& c)
{
    constexpr u64 cr4_osxsave = bit(18), cr4_pke = bit(22);
    constexpr u32 osxsave = bit(27), ospke = bit(4);
    if (leaf - kXenLeaves < 0x100) [[unlikely]]
        return xen_leaf(policy, leaf, subleaf, c);
    const Cpuid* told = policy.offered(leaf, leaf == 0xb ? 0 : subleaf);
    if (!told)
        return {};
    if (leaf == 0xb)
        return topology_leaf(subleaf, c);
    Cpuid r = *told;
    if (leaf == 1) {
        r.ebx |= c.apic_id << 24;
        r.ecx |= c.cr4 & cr4_osxsave ? osxsave : 0;
    } else if (leaf == 7 && subleaf == 0) {
        r.ecx |= c.cr4 & cr4_pke ? ospke : 0;
    } else if (leaf == 0xd && subleaf == 0 && r.eax != 0) {
        r.ebx = policy.xsave_size(c.xcr0);
    }
    if (c.max_vcpus > 1 && (leaf == 1 || leaf == 0x80000008))
        tell_of_cores(policy, leaf, c, r);
    return r;
}

} // namespace vmm
