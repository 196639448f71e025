// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/cpu/fpu.hpp"
#include "domain/domain.hpp"
#include "domain/time.hpp"
#include "domain/vcpu.hpp"
#include "exit/cpuid_policy.hpp"
#include "exit/exit_handlers.hpp"
#include "exit/vm_exit.hpp"

namespace vmm
{

void handle_cpuid(Vcpu& vcpu, const Vm_exit& exit)
{
    Guest_registers& regs = vcpu.regs;
    const u32 leaf        = static_cast<u32>(regs.rax);
    const Cpuid_context context{
        .vcpu_id   = vcpu.id().value(),
        .apic_id   = vcpu.apic().id(),
        .max_vcpus = vcpu.domain().max_vcpus(),
        .domid     = vcpu.domain().id().value(),
        .xcr0      = depends_on_xcr0(leaf) ? read_guest_xcr0() : 0,
        .cr4       = depends_on_cr4(leaf) ? vcpu.backend().cr4() : 0,
        .tsc       = tsc_info,
    };
    const Cpuid r = guest_cpuid(vcpu.domain().cpu_policy(), leaf, static_cast<u32>(regs.rcx), context);
    regs.rax      = r.eax;
    regs.rbx      = r.ebx;
    regs.rcx      = r.ecx;
    regs.rdx      = r.edx;
    vcpu.backend().skip_instruction(regs, exit.instruction_length);
}

} // namespace vmm
