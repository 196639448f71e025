// SPDX-License-Identifier: Apache-2.0
#include "exit/cpuid_policy.hpp"

#include "base/bits.hpp"

#include <algorithm>
#include <bit>

#include <xen/arch-x86/cpuid.h>
#include <xen/xen.h>

namespace vmm
{
namespace
{

constexpr u32 bits(std::initializer_list<unsigned> list)
{
    u32 mask = 0;
    for (const unsigned b : list)
        mask |= 1u << b;
    return mask;
}

// Leaf 1. Hidden from ECX: DTES64, MONITOR, DS-CPL, VMX, SMX, EIST, TM2, CNXT-ID, SDBG, xTPR, PDCM, DCA,
// TSC-deadline, OSXSAVE (which mirrors CR4). From EDX: PSN, DS, ACPI thermal, SS, HTT, TM, PBE.
constexpr u32 k1EcxHidden     = bits({2, 3, 4, 5, 6, 7, 8, 10, 11, 14, 15, 18, 24, 27});
constexpr u32 k1EdxHidden     = bits({18, 21, 22, 27, 28, 29, 31});
constexpr u32 k1EcxX2apic     = bits({21});
constexpr u32 k1EcxOsxsave    = bits({27});
constexpr u32 k1EcxHypervisor = bits({31});

// Leaf 7, subleaf 0: what is shown. FSGSBASE BMI1 AVX2 SMEP BMI2 ERMS INVPCID AVX512F AVX512DQ RDSEED ADX
// SMAP AVX512IFMA CLFLUSHOPT CLWB AVX512PF AVX512ER AVX512CD SHA AVX512BW AVX512VL.
constexpr u32 k7EbxShown =
    bits({0, 3, 5, 7, 8, 9, 10, 16, 17, 18, 19, 20, 21, 23, 24, 26, 27, 28, 29, 30, 31});
// AVX512VBMI UMIP PKU VBMI2 GFNI VAES VPCLMULQDQ VNNI BITALG VPOPCNTDQ RDPID.
constexpr u32 k7EcxShown = bits({1, 2, 3, 6, 8, 9, 10, 11, 12, 14, 22});
// AVX512 4VNNIW 4FMAPS, FSRM, AVX512 VP2INTERSECT.
constexpr u32 k7EdxShown = bits({2, 3, 4, 8});

// Leaf 0x80000001. Hidden from ECX: SVM, OSVW, IBS, SKINIT, WDT, LWP, NodeId, TBM stays, TopoExt, the
// performance counters, data breakpoints, PerfTsc, MONITORX.
constexpr u32 kExt1EcxHidden = bits({2, 9, 10, 12, 13, 15, 19, 22, 23, 24, 26, 27, 28, 29});

u32 xsave_size(u64 components)
{
    u32 size = 512 + 64;
    for (unsigned i = 2; i < 63; ++i) {
        if (components & bit(i)) {
            const Cpuid part = cpuid(0xd, i);
            size             = std::max(size, part.eax + part.ebx);
        }
    }
    return size;
}

Cpuid leaf_1(const Cpuid_context& c)
{
    Cpuid r = cpuid(1);
    r.ebx   = (r.ebx & 0x0000ffff) | c.apic_id << 24 | 1u << 16;
    r.ecx   = (r.ecx & ~k1EcxHidden) | k1EcxX2apic | k1EcxHypervisor;
    if (c.cr4 & bit(18))
        r.ecx |= k1EcxOsxsave;
    r.edx &= ~k1EdxHidden;
    return r;
}

Cpuid leaf_7(u32 subleaf)
{
    if (subleaf != 0)
        return {};
    const Cpuid r = cpuid(7, 0);
    return {0, r.ebx & k7EbxShown, r.ecx & k7EcxShown, r.edx & k7EdxShown};
}

// Two levels: one thread a core, and all the virtual CPUs in one package. [SDM2 CPUID, leaf 0BH]
Cpuid leaf_b(u32 subleaf, const Cpuid_context& c)
{
    constexpr u32 smt = 1, core = 2;
    switch (subleaf) {
    case 0: return {1, 1, smt << 8 | subleaf, c.apic_id};
    case 1:
        return {static_cast<u32>(std::bit_width(2 * c.max_vcpus - 1)), c.max_vcpus, core << 8 | subleaf,
                c.apic_id};
    default: return {0, 0, subleaf, c.apic_id};
    }
}

Cpuid leaf_d(u32 subleaf, const Cpuid_context& c)
{
    constexpr u32 xsaveopt = 1, xgetbv1 = 4;
    if (c.xcr0_mask == 0)
        return {};
    if (subleaf == 0)
        return {static_cast<u32>(c.xcr0_mask), xsave_size(c.xcr0), xsave_size(c.xcr0_mask),
                static_cast<u32>(c.xcr0_mask >> 32)};
    if (subleaf == 1)
        return {cpuid(0xd, 1).eax & (xsaveopt | xgetbv1), 0, 0, 0};
    if (subleaf < 63 && (c.xcr0_mask & bit(subleaf))) {
        const Cpuid r = cpuid(0xd, subleaf);
        return {r.eax, r.ebx, 0, 0};
    }
    return {};
}

Cpuid basic_leaf(u32 leaf, u32 subleaf, const Cpuid_context& c)
{
    switch (leaf) {
    case 0: {
        Cpuid r = cpuid(0);
        r.eax   = std::clamp(r.eax, 0xbu, 0xdu);
        return r;
    }
    case 1: return leaf_1(c);
    case 2:
    case 4: return cpuid(leaf, subleaf);
    case 6: return {4, 0, 0, 0}; // ARAT: the APIC timer never stops
    case 7: return leaf_7(subleaf);
    case 0xb: return leaf_b(subleaf, c);
    case 0xd: return leaf_d(subleaf, c);
    default: return {};
    }
}

Cpuid xen_leaf(u32 leaf, u32 subleaf, const Cpuid_context& c)
{
    switch (leaf - kXenLeaves) {
    case 0:
        return {kXenLeaves + 5, XEN_CPUID_SIGNATURE_EBX, XEN_CPUID_SIGNATURE_ECX, XEN_CPUID_SIGNATURE_EDX};
    case 1: return {kXenVersionMajor << 16 | kXenVersionMinor, 0, 0, 0};
    case 2: return {1, kHypercallPageMsr, 0, 0};
    case 3:
        if (subleaf == 0)
            return {(c.invariant_tsc ? 2u : 0u) | (c.rdtscp ? 4u : 0u), 0, static_cast<u32>(c.tsc_khz), 0};
        if (subleaf == 2)
            return {static_cast<u32>(c.tsc_khz), 0, 0, 0};
        return {};
    case 4: return {XEN_HVM_CPUID_VCPU_ID_PRESENT | XEN_HVM_CPUID_DOMID_PRESENT, c.vcpu_id, c.domid, 0};
    case 5: return {0, cpuid(0x80000008).eax & 0xff, 0, 0};
    default: return {};
    }
}

Cpuid extended_leaf(u32 leaf, const Cpuid_context& c)
{
    Cpuid r = cpuid(leaf);
    switch (leaf) {
    case 0x80000000: r.eax = std::min(r.eax, 0x8000001eu); return r;
    case 0x80000001: r.ecx &= ~kExt1EcxHidden; return r;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
    case 0x80000005:
    case 0x80000006: return r;
    case 0x80000007: return {0, 0, 0, c.invariant_tsc ? 1u << 8 : 0};
    case 0x80000008: return {r.eax & 0xffff, r.ebx & 1, 0, 0}; // address sizes; CLZERO
    default: return {};
    }
}

} // namespace

Cpuid guest_cpuid(u32 leaf, u32 subleaf, const Cpuid_context& context)
{
    if (leaf >= 0x80000000)
        return extended_leaf(leaf, context);
    if (leaf >= kXenLeaves && leaf < kXenLeaves + 0x100)
        return xen_leaf(leaf, subleaf, context);
    return basic_leaf(leaf, subleaf, context);
}

} // namespace vmm
