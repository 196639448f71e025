// SPDX-License-Identifier: Apache-2.0
//
// The exits that need little: HLT, exceptions, XSETBV, WBINVD, triple faults, and what cannot happen.
#include "arch/x86/cpu/control_registers.hpp"
#include "arch/x86/cpu/execution.hpp"
#include "arch/x86/cpu/fpu.hpp"
#include "arch/x86/cpu/machine_check.hpp"
#include "arch/x86/regs/control.hpp"
#include "base/panic.hpp"
#include "debug/log.hpp"
#include "domain/domain.hpp"
#include "domain/vcpu.hpp"
#include "exit/exit_handlers.hpp"
#include "exit/exit_loop.hpp"
#include "exit/guest_memory.hpp"
#include "exit/vm_exit.hpp"
#include "exit/xcr0_policy.hpp"

#include <xen/sched.h>

namespace vmm
{
namespace
{

// A guest without means to power off halts for good with interrupts disabled: when every vCPU has, nothing
// can ever wake the domain, and that is its way of saying so.
bool halted_for_good(const Vcpu& vcpu)
{
    return vcpu.blocked && !(vcpu.regs.rflags & rflags::if_) && !vcpu.nmi_pending;
}

bool all_halted_for_good(const Domain& domain)
{
    for (unsigned i = 0; i < domain.max_vcpus(); ++i) {
        const Vcpu* vcpu = domain.vcpu(i);
        if (vcpu->is_up() && !halted_for_good(*vcpu))
            return false;
    }
    return true;
}

// It has said STI, and the HLT that comes with it is next.
bool is_about_to_halt(Vcpu& vcpu)
{
    if (!vcpu.backend().in_interrupt_shadow() || !(vcpu.regs.rflags & rflags::if_)) [[likely]]
        return false;
    constexpr u8 hlt         = 0xf4;
    const Paging_state state = vcpu.backend().paging();
    u8 next                  = 0;
    return state.cpl == 0 && (state.efer & efer::lma) &&
           copy_from_guest(vcpu, &next, Gva(vcpu.regs.rip), 1) && next == hlt;
}

} // namespace

// An interrupt of the machine's that comes between STI and HLT is taken after the HLT: QEMU (7.2 at least)
// forgets at the next entry that the guest's own interrupts have to wait for the instruction after STI. One
// that it delivered before the HLT would not end it, and an idle kernel would sleep on. [APM2 15.21.5]
void handle_external_interrupt(Vcpu& vcpu)
{
    take_pending_interrupts();
    if (is_about_to_halt(vcpu))
        handle_hlt(vcpu, {.kind = Exit_kind::hlt, .instruction_length = 1, .code = 0});
}

void handle_hlt(Vcpu& vcpu, const Vm_exit& exit)
{
    vcpu.backend().skip_instruction(vcpu.regs, exit.instruction_length);
    const bool deaf   = !(vcpu.regs.rflags & rflags::if_);
    const auto awaken = [&] { return deaf ? vcpu.nmi_pending || vcpu.start_asked() : vcpu.has_work(); };
    if (awaken())
        return;
    vcpu.sleep();
    if (awaken())
        return vcpu.wake();
    if (deaf && all_halted_for_good(vcpu.domain()))
        vcpu.domain().shut_down(SHUTDOWN_poweroff);
}

void handle_exception(Vcpu& vcpu, const Vm_exit& exit)
{
    constexpr u8 machine_check = 18;
    const auto& e              = exit.exception;
    if (e.vector == machine_check) {
        if (!take_machine_check())
            PANIC("machine check: the state of the CPU is lost");
        vcpu.domain().crash("machine check while it ran");
        return;
    }
    vcpu.backend().inject({e.vector, Injection::Type::exception, e.has_error_code, e.error_code});
}

void handle_xsetbv(Vcpu& vcpu, const Vm_exit& exit)
{
    const u64 value = (vcpu.regs.rdx << 32) | (vcpu.regs.rax & 0xffffffff);
    const bool xcr0 = (vcpu.regs.rcx & 0xffffffff) == 0;
    if (!xcr0 || vcpu.backend().paging().cpl != 0 ||
        !is_valid_xcr0(value, vcpu.domain().cpu_policy().xcr0())) {
        inject_general_protection(vcpu);
        return;
    }
    vcpu.xcr0 = value;
    set_guest_xcr0(value);
    vcpu.backend().skip_instruction(vcpu.regs, exit.instruction_length);
}

// Memory that only this machine's caches see needs no write-back; a domain with real devices may have
// mapped memory uncached, and for it the instruction means what it says.
void handle_wbinvd(Vcpu& vcpu, const Vm_exit& exit)
{
    if (vcpu.domain().devices())
        write_back_caches();
    vcpu.backend().skip_instruction(vcpu.regs, exit.instruction_length);
}

void handle_triple_fault(Vcpu& vcpu)
{
    Domain& domain = vcpu.domain();
    log::error("d{}v{}: triple fault at rip {x}", domain.id(), vcpu.id(), vcpu.regs.rip);
    domain.shut_down(static_cast<u8>(domain.params().value[HVM_PARAM_TRIPLE_FAULT_REASON]));
}

void handle_impossible_exit(Vcpu& vcpu, const Vm_exit& exit)
{
    const System_state s = vcpu.backend().read_system();
    log::error("d{}v{}: {} {x} at rip {x}, cr0 {x} cr3 {x} cr4 {x} efer {x}", vcpu.domain().id(), vcpu.id(),
               exit.kind == Exit_kind::entry_failure ? "the CPU refuses the guest state, exit"
                                                     : "unknown exit",
               exit.code, vcpu.regs.rip, s.cr0, s.cr3, s.cr4, s.efer);
    vcpu.domain().crash("its CPU cannot go on");
}

} // namespace vmm
