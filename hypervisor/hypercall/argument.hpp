// SPDX-License-Identifier: Apache-2.0
//
// The structure that an operation's argument points to: copied in, given to what does the work, and copied
// out again where that says, by taking it as one it may change, that it holds an answer.
#pragma once

#include "exit/guest_memory.hpp"
#include "hypercall/hypercall.hpp"

#include <type_traits>

namespace vmm
{

template <class Op>
Hypercall_result with_argument(Vcpu& vcpu, Gva argument, Expected<void> (*work)(Vcpu&, Op&))
{
    auto op = TRY(read_guest<std::remove_const_t<Op>>(vcpu, argument));
    TRY(work(vcpu, op));
    if constexpr (!std::is_const_v<Op>)
        TRY(write_guest(vcpu, argument, op));
    return 0;
}

// What a handle in a structure points to. [xen/include/public/arch-x86/xen.h, XEN_GUEST_HANDLE]
template <class Handle>
Gva address_of(const Handle& handle)
{
    return Gva(reinterpret_cast<u64>(handle.p));
}

} // namespace vmm
