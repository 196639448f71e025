// SPDX-License-Identifier: Apache-2.0
//
// The CPUID instruction. Hosted tests supply cpuid() themselves, from whatever machine they pretend to be.
#pragma once

#include "base/types.hpp"

namespace vmm
{

struct Cpuid {
    u32 eax, ebx, ecx, edx;
};

#if __STDC_HOSTED__
Cpuid cpuid(u32 leaf, u32 subleaf = 0);
#else
inline Cpuid cpuid(u32 leaf, u32 subleaf = 0)
{
    Cpuid r;
    asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}
#endif

// Of a leaf that not every CPU has; zeros where it has not.
inline Cpuid cpuid_if_there(u32 leaf) { return leaf <= cpuid(leaf & 0x80000000).eax ? cpuid(leaf) : Cpuid{}; }

} // namespace vmm
