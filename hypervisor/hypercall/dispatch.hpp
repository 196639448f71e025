// SPDX-License-Identifier: Apache-2.0
//
// From a hypercall instruction to its handler and back. [xen/include/public/arch-x86/xen.h: RAX is the
// number and the result; RDI, RSI, RDX, R10, R8 are the arguments]
#pragma once

#include "hypercall/hypercall.hpp"

namespace vmm
{

struct Vm_exit;

void handle_hypercall(Vcpu& vcpu, const Vm_exit& exit);

// The call behind a number. Enosys for a number without one.
Hypercall_result call(Vcpu& vcpu, u64 number, Hypercall_args& args);

// Writes the page of call stubs that older kernels ask for by MSR: slot n at n * 32 moves n to
// EAX, executes the instruction of the CPU's vendor, and returns.
void fill_hypercall_page(std::byte* page);

} // namespace vmm
