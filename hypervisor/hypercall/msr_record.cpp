// SPDX-License-Identifier: Apache-2.0
#include "hypercall/msr_record.hpp"

#include "arch/x86/regs/msr.hpp"
#include "domain/vcpu.hpp"
#include "exit/msr_policy.hpp"

namespace vmm
{

Msr_record save_msrs(const Vcpu& vcpu)
{
    const u32 value = vcpu.backend().spec_ctrl();
    return {value != 0, 0, {{msr::kSpecCtrl, 0, value}}};
}

Expected<void> load_msr(Vcpu& vcpu, const Saved_msr& saved)
{
    if (saved.index != msr::kSpecCtrl || saved._rsvd != 0)
        return fail(Errc::einval);
    return write_guest_msr(vcpu, saved.index, saved.val);
}

} // namespace vmm
