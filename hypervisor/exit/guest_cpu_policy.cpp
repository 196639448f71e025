// SPDX-License-Identifier: Apache-2.0
#include "exit/cpu_policy.hpp"

#include "arch/x86/cpu/fpu.hpp"
#include "arch/x86/cpu/hardening.hpp"
#include "domain/time.hpp"

namespace vmm
{

const Cpu_policy& guest_cpu_policy()
{
    static const Cpu_policy policy = Cpu_policy::for_guests(
        Cpu_policy::of_machine(), guest_xcr0_mask(), tsc_info().invariant, hardening().has(Measure::msr_sc));
    return policy;
}

} // namespace vmm
