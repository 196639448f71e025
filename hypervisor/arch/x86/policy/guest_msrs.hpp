// SPDX-License-Identifier: Apache-2.0
//
// MSRs that kernels look at because the CPU of their vendor has them, and that mean nothing in a guest: data
// for exit/msr_policy. Each is there only where the machine has it, so that a guest finds what fits the
// vendor that CPUID names. [SDM4 2.1, APM2 Appendix A]
#pragma once

#include "base/bits.hpp"

namespace vmm
{

struct Fixed_msr {
    u32 index;
    bool ignore_writes;
    u64 from_host; // the bits that are the machine's
    u64 set;       // and those that are so for guests
};
inline constexpr Fixed_msr kFixedMsrs[] = {
    {0x0000008b, true, ~0ull, 0},             // PATCH_LEVEL, BIOS_SIGN_ID
    {0x00000179, false, 0, 0},                // MCG_CAP: no banks
    {0x0000017a, true, 0, 0},                 // MCG_STATUS
    {0x000001a0, true, 1, bit(11) | bit(12)}, // MISC_ENABLE: fast strings; neither BTS nor PEBS
    {0xc0010010, false, 0, 0},                // SYSCFG
    {0xc0010015, true, 0, 0},                 // HWCR
    {0xc001001f, true, 0, bit(46)},           // NB_CFG: extended configuration by CF8 is on already
    {0xc0011029, true, ~0ull, 0},             // DE_CFG: whether LFENCE serialises
};

constexpr const Fixed_msr* find_fixed_msr(u32 index)
{
    for (const auto& row : kFixedMsrs) {
        if (row.index == index)
            return &row;
    }
    return nullptr;
}

} // namespace vmm
