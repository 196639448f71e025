// SPDX-License-Identifier: Apache-2.0
//
// How APIC ids tell which CPUs are threads of one core, share the last level of cache, or are in one package:
// those whose ids are the same above so many bits. Pure: CPUID is a parameter. What a CPU does not tell
// counts as "a CPU is its own core" and "all of a package share the cache". [SDM3 9.9.1, APM3 appendix E]
#pragma once

#include "arch/x86/cpu/cpuid.hpp"

namespace vmm
{

struct Apic_id_layout {
    unsigned core    = 0; // bits of the id that tell threads of one core apart
    unsigned cache   = 0; // ... CPUs that share the last level of cache
    unsigned package = 0; // ... CPUs of one package

    bool operator==(const Apic_id_layout&) const = default;
};

using Cpuid_function = Cpuid (*)(u32 leaf, u32 subleaf);

Apic_id_layout read_apic_id_layout(Cpuid_function cpuid);

} // namespace vmm
