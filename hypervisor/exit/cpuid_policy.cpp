// SPDX-License-Identifier: Apache-2.0
#include "exit/cpuid_policy.hpp"

#include "base/bits.hpp"

#include <algorithm>
#include <bit>

#include <xen/arch-x86/cpuid.h>

namespace vmm
{
namespace
{

// They are even.
u32 apic_id_bits(const Cpuid_context& c) { return static_cast<u32>(std::bit_width(2 * c.max_vcpus - 1)); }

} // namespace

// Two levels: one thread a core, and all the virtual CPUs in one package. [SDM2 CPUID, leaf 0BH]
Cpuid topology_leaf(u32 subleaf, const Cpuid_context& c)
{
    constexpr u32 smt = 1, core = 2;
    switch (subleaf) {
    case 0: return {1, 1, smt << 8 | subleaf, c.apic_id};
    case 1: return {apic_id_bits(c), c.max_vcpus, core << 8 | subleaf, c.apic_id};
    default: return {0, 0, subleaf, c.apic_id};
    }
}

// The same as older software looks for it, unless the tools have described a topology themselves: how many
// APIC ids a package has, and for one maker's CPUs the number of cores and how wide their ids are.
// [APM3 E.3.2, E.4.7]
void tell_of_cores(const Cpu_policy& policy, u32 leaf, const Cpuid_context& c, Cpuid& r)
{
    constexpr u32 most = 0xff, auth = 0x68747541, hygo = 0x6f677948; // AuthenticAMD, HygonGenuine
    if (policy.has(XEN_X86_FEATURE_HTT))
        return;
    const u32 vendor = policy.find(0)->ebx;
    if (leaf == 1) {
        r.edx |= 1u << XEN_X86_FEATURE_HTT % 32;
        r.ebx = (r.ebx & ~(most << 16)) | std::min(2 * c.max_vcpus, most) << 16;
    } else if (vendor == auth || vendor == hygo) {
        r.ecx = apic_id_bits(c) << 12 | (c.max_vcpus - 1);
    }
}

Cpuid xen_leaf(const Cpu_policy& policy, u32 leaf, u32 subleaf, const Cpuid_context& c)
{
    constexpr u32 fewest = 2, all = 5;
    const u32 wanted = policy.find(kXenLeaves)->eax & 0xff; // 0: as many as there are
    const u32 last   = wanted ? std::clamp(wanted, fewest, all) : all;
    if (leaf - kXenLeaves > last)
        return {};
    switch (leaf - kXenLeaves) {
    case 0:
        return {kXenLeaves + last, XEN_CPUID_SIGNATURE_EBX, XEN_CPUID_SIGNATURE_ECX, XEN_CPUID_SIGNATURE_EDX};
    case 1: return {kXenVersionMajor << 16 | kXenVersionMinor, 0, 0, 0};
    case 2: return {1, kHypercallPageMsr, 0, 0};
    case 3:
        if (subleaf == 0)
            return {(c.tsc().invariant ? 2u : 0u) | (policy.has(XEN_X86_FEATURE_RDTSCP) ? 4u : 0u), 0,
                    static_cast<u32>(c.tsc().khz), 0};
        if (subleaf == 2)
            return {static_cast<u32>(c.tsc().khz), 0, 0, 0};
        return {};
    case 4: return {XEN_HVM_CPUID_VCPU_ID_PRESENT | XEN_HVM_CPUID_DOMID_PRESENT, c.vcpu_id, c.domid, 0};
    default: return {0, policy.find(0x80000008)->eax & 0xff, 0, 0};
    }
}

} // namespace vmm
