// SPDX-License-Identifier: Apache-2.0
//
// Hypercalls: the table (table.def: number, name, arity, continuable) and what every handler has in common.
// A handler has four steps: copy the arguments in, validate, call the object, copy results out. Who may call
// is part of validating: it is asked where Xen asks it, for the order shows in what a caller is told. It
// returns a value for RAX, or an error that becomes the negated Xen errno. Errc::erestart re-executes the
// instruction with the (possibly updated) arguments, so that long work is preemptible.
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

#define HYPERCALL(number, name, arity, continuable)                                                          \
    Hypercall_result do_##name(Vcpu& vcpu, Hypercall_args& args);
#include "hypercall/table.def"
#undef HYPERCALL

} // namespace vmm
