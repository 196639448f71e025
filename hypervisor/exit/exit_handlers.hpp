// SPDX-License-Identifier: Apache-2.0
//
// One handler for each kind of exit. They emulate what the guest asked for and move RIP on, or inject the
// fault the instruction would have raised, or crash the domain; none of them blocks.
#pragma once

namespace vmm
{

class Vcpu;
struct Vm_exit;

void handle_external_interrupt(Vcpu& vcpu);
void handle_cpuid(Vcpu& vcpu, const Vm_exit& exit);
void handle_msr(Vcpu& vcpu, const Vm_exit& exit);
void handle_hlt(Vcpu& vcpu, const Vm_exit& exit);
void handle_io(Vcpu& vcpu, const Vm_exit& exit);
void handle_nested_fault(Vcpu& vcpu, const Vm_exit& exit);
void handle_exception(Vcpu& vcpu, const Vm_exit& exit);
void handle_xsetbv(Vcpu& vcpu, const Vm_exit& exit);
void handle_spinning(Vcpu& vcpu);
void handle_wbinvd(Vcpu& vcpu, const Vm_exit& exit);
void handle_triple_fault(Vcpu& vcpu);
void handle_impossible_exit(Vcpu& vcpu, const Vm_exit& exit);

} // namespace vmm
