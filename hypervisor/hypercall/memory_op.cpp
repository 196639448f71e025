// SPDX-License-Identifier: Apache-2.0
//
// XENMEM_*: which operation it is. Operations that only make sense for paravirtualised memory and for
// paging are not there, as in a Xen built without them. [xen/include/public/memory.h]
#include "hypercall/memory_op.hpp"

#include "mm/frame_allocator.hpp"

namespace vmm
{
namespace
{

Hypercall_result dispatch(const Memory_call& call)
{
    switch (call.command()) {
    case XENMEM_increase_reservation:
    case XENMEM_decrease_reservation:
    case XENMEM_populate_physmap: return change_reservation(call);
    case XENMEM_add_to_physmap: return add_to_physmap(call);
    case XENMEM_add_to_physmap_batch: return add_to_physmap_batch(call);
    case XENMEM_acquire_resource: return acquire_resource(call);
    default: break;
    }
    // None of the others is ever continued.
    if (call.start() != 0)
        return fail(Errc::einval);
    switch (call.command()) {
    case XENMEM_maximum_ram_page: return frames.end().value();
    case XENMEM_current_reservation:
    case XENMEM_maximum_reservation:
    case XENMEM_maximum_gpfn: return read_reservation(call);
    case XENMEM_remove_from_physmap: return with_argument(call.vcpu, call.argument(), remove_from_physmap);
    case XENMEM_claim_pages: return with_argument(call.vcpu, call.argument(), claim_pages);
    case XENMEM_set_pod_target:
    case XENMEM_get_pod_target: return pod_target(call);
    case XENMEM_memory_map: return with_argument(call.vcpu, call.argument(), memory_map);
    case XENMEM_set_memory_map: return with_argument(call.vcpu, call.argument(), set_memory_map);
    case XENMEM_reserved_device_memory_map:
        return with_argument(call.vcpu, call.argument(), reserved_device_memory_map);
    case XENMEM_get_vnumainfo: return with_argument(call.vcpu, call.argument(), vnuma_info);
    case XENMEM_get_sharing_freed_pages: return frames.saved_count();
    case XENMEM_get_sharing_shared_pages: return frames.common_count();
    case XENMEM_sharing_op: return sharing_op(call);
    default: return fail(Errc::enosys);
    }
}

} // namespace

Hypercall_result do_memory_op(Vcpu& vcpu, Hypercall_args& args) { return dispatch({vcpu, args}); }

} // namespace vmm
