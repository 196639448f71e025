// SPDX-License-Identifier: Apache-2.0
//
// The CPU_MSR record of the HVM context: MSRs of one vCPU that no other record has, those only that are not
// 0. Here that is SPEC_CTRL. [xen/include/public/arch-x86/hvm/save.h, hvm_msr]
#pragma once

#include "base/expected.hpp"

#include <span>

#include <xen/hvm/save.h>
#include <xen/xen.h>

namespace vmm
{

class Vcpu;

using Saved_msr = hvm_msr::hvm_one_msr;

struct Msr_record {
    u32 count;
    u32 reserved;
    Saved_msr msrs[1];
};
static_assert(offsetof(Msr_record, msrs) == offsetof(hvm_msr, msr));

// With no MSR in it there is nothing to save.
[[nodiscard]] Msr_record save_msrs(const Vcpu& vcpu);
// Einval for an MSR that is not saved here, or a value that the vCPU could not write itself.
Expected<void> load_msr(Vcpu& vcpu, const Saved_msr& saved);

} // namespace vmm
