// SPDX-License-Identifier: Apache-2.0
#include "exit/exit_loop.hpp"

#include "arch/x86/cpu/execution.hpp"
#include "exit/exit_handlers.hpp"

namespace vmm
{
namespace
{

constexpr u8 kVectorNmi = 2;

// An event comes before the machine's interrupts, and so does what its delivery makes fault. Where that goes
// round in circles (no memory behind the IDT; a breakpoint on the stack of #DB) they would never come, and the
// guest would keep the CPU. [APM2 8.5, SDM3 6.9; CVE-2015-5307, CVE-2015-8104]
void let_interrupts_in(const Vcpu& vcpu)
{
    if (vcpu.backend().event_queued())
        take_pending_interrupts();
}

} // namespace

// Takes what is pending in order of importance: NMI, the virtual APIC, the event-channel upcall. The upcall
// is a level, not a message: it is injected for as long as the guest leaves evtchn_upcall_pending set, and
// no APIC is involved. What cannot be taken yet is asked for again by an interrupt window. Where both are
// pending the APIC's comes first, since its handler ends with an exit (EOI) that brings the other one in; an
// upcall's handler ends with none.
void deliver_pending(Vcpu& vcpu)
{
    Vcpu_backend& backend = vcpu.backend();
    const u8 callback     = vcpu.upcall_vector == 0 ? vcpu.domain().params().callback_vector : 0;
    const bool upcall     = callback != 0 && upcall_pending(vcpu);
    if (vcpu.nmi_pending && !backend.event_queued()) [[unlikely]] {
        vcpu.nmi_pending = false;
        backend.inject({kVectorNmi, Injection::Type::nmi, false, 0});
    }
    const int offered = vcpu.apic().next_to_inject();
    if (offered < 0 && !upcall) {
        if (vcpu.apic().held_back_by_tpr()) [[unlikely]]
            backend.request_window(static_cast<u8>(vcpu.apic().highest_requested() >> 4));
        return;
    }
    if (!backend.can_take_interrupt(vcpu.regs)) {
        backend.request_window(static_cast<u8>(upcall ? 0xf : offered >> 4));
        return;
    }
    vcpu.offered_vector = offered;
    if (offered >= 0)
        vcpu.apic().accept(static_cast<u8>(offered));
    backend.inject({offered >= 0 ? static_cast<u8>(offered) : callback, Injection::Type::external, false, 0});
}

void take_back_injected(Vcpu& vcpu)
{
    if (vcpu.offered_vector >= 0)
        vcpu.apic().give_back(static_cast<u8>(vcpu.offered_vector));
}

void handle_exit(Vcpu& vcpu, const Vm_exit& exit)
{
    switch (exit.kind) {
    case Exit_kind::external_interrupt: handle_external_interrupt(vcpu); break;
    case Exit_kind::interrupt_window: vcpu.backend().cancel_window(); break;
    case Exit_kind::hypercall: handle_hypercall(vcpu, exit); break;
    case Exit_kind::cpuid: handle_cpuid(vcpu, exit); break;
    case Exit_kind::msr: handle_msr(vcpu, exit); break;
    case Exit_kind::hlt: handle_hlt(vcpu, exit); break;
    case Exit_kind::io: handle_io(vcpu, exit); break;
    case Exit_kind::nested_fault:
        handle_nested_fault(vcpu, exit);
        let_interrupts_in(vcpu);
        break;
    case Exit_kind::exception:
        handle_exception(vcpu, exit);
        let_interrupts_in(vcpu);
        break;
    case Exit_kind::xsetbv: handle_xsetbv(vcpu, exit); break;
    case Exit_kind::wbinvd: handle_wbinvd(vcpu, exit); break;
    case Exit_kind::spinning: handle_spinning(vcpu); break;
    case Exit_kind::end_of_interrupt: vcpu.apic().in_service_ended(exit.vector); break;
    case Exit_kind::undefined: inject_undefined(vcpu); break;
    case Exit_kind::shutdown: handle_triple_fault(vcpu); break;
    case Exit_kind::entry_failure:
    case Exit_kind::unknown: handle_impossible_exit(vcpu, exit); break;
    }
}

void inject_undefined(Vcpu& vcpu) { vcpu.backend().inject({6, Injection::Type::exception, false, 0}); }
void inject_general_protection(Vcpu& vcpu)
{
    vcpu.backend().inject({13, Injection::Type::exception, true, 0});
}

} // namespace vmm
