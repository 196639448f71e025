// SPDX-License-Identifier: Apache-2.0
//
// Hypercalls: the table (table.def: number, name, arity, continuable, handler) and what every handler has in
// common. A handler has four steps: copy the arguments in, validate, call the object, copy results out. Who
// may call is part of validating: it is asked where Xen asks it, for the order shows in what a caller is
// told. It returns a value for RAX, or an error that becomes the negated Xen errno. Errc::erestart
// re-executes the instruction with the (possibly updated) arguments, so that long work is preemptible.
#pragma once

#include "base/expected.hpp"

#include <array>

namespace vmm
{

class Vcpu;

// The five argument registers (rdi, rsi, rdx, r10, r8); a handler that wants to be continued writes back
// where it got to.
struct Hypercall_args {
    std::array<u64, 5> a;
};

using Hypercall_result  = Expected<u64>;
using Hypercall_handler = Hypercall_result (*)(Vcpu& vcpu, Hypercall_args& args);

Hypercall_result do_memory_op(Vcpu& vcpu, Hypercall_args& args);
Hypercall_result do_xen_version(Vcpu& vcpu, Hypercall_args& args);
Hypercall_result do_console_io(Vcpu& vcpu, Hypercall_args& args);
Hypercall_result do_grant_table_op(Vcpu& vcpu, Hypercall_args& args);
Hypercall_result do_vm_assist(Vcpu& vcpu, Hypercall_args& args);
Hypercall_result do_vcpu_op(Vcpu& vcpu, Hypercall_args& args);
Hypercall_result do_sched_op(Vcpu& vcpu, Hypercall_args& args);
Hypercall_result do_event_channel_op(Vcpu& vcpu, Hypercall_args& args);
Hypercall_result do_physdev_op(Vcpu& vcpu, Hypercall_args& args);
Hypercall_result do_hvm_op(Vcpu& vcpu, Hypercall_args& args);
Hypercall_result do_sysctl(Vcpu& vcpu, Hypercall_args& args);
Hypercall_result do_domctl(Vcpu& vcpu, Hypercall_args& args);
Hypercall_result do_platform_op(Vcpu& vcpu, Hypercall_args& args);
Hypercall_result do_multicall(Vcpu& vcpu, Hypercall_args& args);
Hypercall_result do_set_timer_op(Vcpu& vcpu, Hypercall_args& args);

} // namespace vmm
