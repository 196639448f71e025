// SPDX-License-Identifier: Apache-2.0
//
// XENMEM_sharing_op: of its operations the one that makes a fork. Other than under Xen the parent may run on
// afterwards, and the child has the parent's memory only. [xen/include/public/memory.h]
#include "hypercall/memory_op.hpp"

#include "hypercall/control_lock.hpp"
#include "mm/fork.hpp"

namespace vmm
{

Hypercall_result sharing_op(const Memory_call& call)
{
    if (!call.caller().is_control())
        return fail(Errc::eperm);
    const auto op    = TRY(read_guest<xen_mem_sharing_op_t>(call.vcpu, call.argument()));
    const auto child = TRY(other_domain(call, op.domain));
    if (op.op != XENMEM_sharing_op_fork)
        return fail(Errc::enosys);
    // The flags are for forks that serve tracing and fuzzing.
    if (op.u.fork.pad != 0 || op.u.fork.flags != 0)
        return fail(Errc::einval);
    const auto parent = TRY(other_domain(call, op.u.fork.parent_domain));
    const Lock_guard one_at_a_time(control_lock);
    TRY(fork_memory(*child, *parent));
    return 0;
}

} // namespace vmm
