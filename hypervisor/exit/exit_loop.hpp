// SPDX-License-Identifier: Apache-2.0
//
// The loop that is a hypervisor: get the vCPU ready (TLB, pending events), let it run, and do what its exit
// asks for. Vendor-neutral, and compiled once for each vendor, so that what every exit goes through needs no
// call.
#pragma once

#include "base/turns.hpp"
#include "domain/domain.hpp"
#include "domain/vcpu.hpp"
#include "exit/vm_exit.hpp"
#include "hypercall/dispatch.hpp"

namespace vmm
{

// Injects what is most important of what is pending, or asks for a window.
void deliver_pending(Vcpu& vcpu);
// The external interrupt injected at the last entry was not taken (the machine's own came first): it has to
// be injected again, or something better instead.
void take_back_injected(Vcpu& vcpu);
void handle_exit(Vcpu& vcpu, const Vm_exit& exit);

inline bool upcall_pending(const Vcpu& vcpu)
{
    const vcpu_info* info = vcpu.info();
    return info && info->evtchn_upcall_pending != 0;
}

// Until `stop` is set. Backend::enter(Guest_registers&) runs the guest until something needs attention: the
// registers are loaded before and stored after. It is called out of the hypervisor, by its count of turns,
// and comes in as soon as the guest has been left (base/turns.hpp).
template <class Backend>
void run_guest(Vcpu& vcpu, Backend& backend, const std::atomic<bool>& stop)
{
    const P2m& p2m = vcpu.domain().p2m();
    while (!stop.load(std::memory_order_relaxed)) {
        turns::go_out();
        const u64 generation = p2m.generation();
        if (vcpu.seen_p2m_generation != generation) [[unlikely]] {
            vcpu.seen_p2m_generation = generation;
            backend.flush_tlb();
        }
        vcpu.translation.begin_run();
        if (vcpu.apic().requests_any() || upcall_pending(vcpu) || vcpu.nmi_pending) [[unlikely]]
            deliver_pending(vcpu);
        const Vm_exit exit = backend.enter(vcpu.regs);
        if (exit.kind == Exit_kind::hypercall) [[likely]]
            handle_hypercall(vcpu, exit);
        else
            handle_exit(vcpu, exit);
    }
}

// Faults delivered to the guest.
void inject_undefined(Vcpu& vcpu);          // #UD
void inject_general_protection(Vcpu& vcpu); // #GP(0)

} // namespace vmm
