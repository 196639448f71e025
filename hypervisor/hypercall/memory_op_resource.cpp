// SPDX-License-Identifier: Apache-2.0
//
// XENMEM_acquire_resource: pages the hypervisor keeps for a domain, mapped into the control domain. The
// toolstack writes a new domain's first grants this way. [xen/include/public/memory.h]
#include "hypercall/memory_op.hpp"

#include "grant/grant_table.hpp"
#include "mm/reservation.hpp"

namespace vmm
{
namespace
{

constexpr u64 kUnitsPerPage = 16;

// Size of a resource in frames; 0 for one that does not exist.
u32 resource_size(Domain& domain, const xen_mem_acquire_resource& op)
{
    const bool grants =
        op.type == XENMEM_resource_grant_table && op.id == XENMEM_resource_grant_table_id_shared;
    return grants ? domain.grants().max_frames() : 0;
}

Hypercall_result tell_size(const Memory_call& call, xen_mem_acquire_resource& op, u32 size)
{
    if (op.nr_frames != 0 || call.start() != 0)
        return fail(Errc::einval);
    op.nr_frames = size;
    TRY(write_guest(call.vcpu, call.argument(), op));
    return 0;
}

} // namespace

Hypercall_result acquire_resource(const Memory_call& call)
{
    // Only a control domain's map may hold what belongs to others.
    if (!call.caller().is_control())
        return fail(Errc::eacces);
    auto op = TRY(read_guest<xen_mem_acquire_resource>(call.vcpu, call.argument()));
    if (op.pad != 0 || op.frame >> 32 || (op.frame + op.nr_frames) >> 32)
        return fail(Errc::einval);
    const auto owner = TRY(other_domain(call, op.domid));
    const u32 size   = resource_size(*owner, op);
    if (size == 0)
        return fail(Errc::einval);
    if (op.frame_list.p == nullptr)
        return tell_size(call, op, size);
    if (call.start() >= op.nr_frames || op.nr_frames > kMaxExtents)
        return fail(Errc::einval);
    u64 done       = call.start();
    const Gva list = address_of(op.frame_list);
    for (Work_budget budget; done < op.nr_frames; ++done) {
        if (!budget.spend(kUnitsPerPage))
            return call.again_from(done);
        const Mfn frame = TRY(owner->grants().frame(static_cast<u32>(op.frame + done)));
        const Gfn gfn(TRY(read_guest_element<xen_pfn_t>(call.vcpu, list, done)));
        TRY(place_foreign_frame(call.caller(), gfn, *owner, frame));
    }
    return 0;
}

} // namespace vmm
