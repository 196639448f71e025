// SPDX-License-Identifier: Apache-2.0
//
// The MSRs by which a guest protects itself against leaks by speculation, and which of their bits it may
// write: data for exit/msr_policy. One with no bit that a feature of the guest's allows is not there.
// [SDM4 2.1, APM2 3.2.9]
#pragma once

#include "arch/x86/regs/msr.hpp"

#include <span>

#include <xen/arch-x86/cpufeatureset.h>

namespace vmm
{

struct Feature_bits {
    unsigned feature;
    u64 bits;
};

#define F(name) XEN_X86_FEATURE_##name

// STIBP of a CPU that has only IBRS may be written and does nothing.
inline constexpr Feature_bits kSpecCtrlBits[] = {
    {F(IBRSB), 0x3},       {F(IBRS), 0x1},        {F(STIBP), 0x2},       {F(AMD_STIBP), 0x2},
    {F(SSBD), 0x4},        {F(AMD_SSBD), 0x4},    {F(IPRED_CTRL), 0x18}, {F(PSFD), 0x80},
    {F(INTEL_PSFD), 0x80}, {F(RRSBA_CTRL), 0x60}, {13 * 32 + 3, 0x100},  {F(BHI_CTRL), 0x400}};
inline constexpr Feature_bits kPredCmdBits[]  = {{F(IBRSB), 0x1}, {F(IBPB), 0x1}, {F(SBPB), 0x80}};
inline constexpr Feature_bits kFlushCmdBits[] = {{F(L1D_FLUSH), 0x1}};

#undef F

// The bits of one of these MSRs, by what `policy` has; 0 for every other MSR too.
template <class Policy>
u64 speculation_bits(const Policy& policy, u32 index)
{
    std::span<const Feature_bits> rows;
    if (index == msr::kSpecCtrl)
        rows = kSpecCtrlBits;
    else if (index == msr::kPredCmd)
        rows = kPredCmdBits;
    else if (index == msr::kFlushCmd)
        rows = kFlushCmdBits;
    u64 bits = 0;
    for (const auto& row : rows)
        bits |= policy.has(row.feature) ? row.bits : 0;
    return bits;
}

} // namespace vmm
