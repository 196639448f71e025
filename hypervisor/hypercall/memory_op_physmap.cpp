// SPDX-License-Identifier: Apache-2.0
//
// What is where in a domain's physical address space: the pages the hypervisor shares with it, its own pages
// moved about, and, for the control domain, pages of other domains.
#include "hypercall/memory_op.hpp"

#include "grant/grant_table.hpp"
#include "mm/reservation.hpp"

namespace vmm
{
namespace
{

constexpr u64 kUnitsPerPage = 16;

// Device memory is a control domain's own business, and is mapped from the start.
Expected<void> check_space(const Memory_call& call, const Domain& domain, unsigned space)
{
    if (space == XENMAPSPACE_dev_mmio && (!domain.is_identity_mapped() || &domain != &call.caller()))
        return fail(Errc::eacces);
    return {};
}

Expected<void> place_grant_frame(Domain& domain, u64 index, Gfn gfn)
{
    if (index > ~0u)
        return fail(Errc::einval);
    const Mfn frame = TRY(domain.grants().frame(static_cast<u32>(index)));
    TRY(place_shared(domain, gfn, frame));
    domain.grants().set_frame_gfn(static_cast<u32>(index), gfn);
    return {};
}

Expected<void> map_foreign(const Memory_call& call, Domain& domain, Gfn gfn, u16 owner_id, u64 owner_gfn)
{
    if (!domain.is_control())
        return fail(Errc::eperm);
    const auto owner = TRY(other_domain(call, owner_id));
    if (owner.get() == &domain)
        return fail(Errc::einval);
    return place_foreign(domain, gfn, *owner, Gfn(owner_gfn));
}

// One page of any space but ranges and foreign memory.
Expected<void> add_one(Domain& domain, unsigned space, u64 index, Gfn gfn)
{
    if (gfn == kInvalidGfn)
        return fail(Errc::einval);
    switch (space) {
    case XENMAPSPACE_shared_info:
        if (index != 0)
            return fail(Errc::einval);
        return place_shared(domain, gfn, domain.shared_mfn());
    case XENMAPSPACE_grant_table: return place_grant_frame(domain, index, gfn);
    case XENMAPSPACE_gmfn: return move_page(domain, Gfn(index), gfn);
    default: return fail(Errc::einval);
    }
}

Hypercall_result move_range(const Memory_call& call, Domain& domain, const xen_add_to_physmap& op)
{
    u64 done = call.start();
    if (op.size < done)
        return fail(kEilseq);
    if (op.gpfn + op.size < op.gpfn || op.idx + op.size < op.idx)
        return fail(Errc::eoverflow);
    for (Work_budget budget; done < op.size; ++done) {
        if (!budget.spend(kUnitsPerPage))
            return call.again_from(done);
        TRY(add_one(domain, XENMAPSPACE_gmfn, op.idx + done, Gfn(op.gpfn + done)));
    }
    return 0;
}

} // namespace

Hypercall_result add_to_physmap(const Memory_call& call)
{
    if (call.start() > 0xffff)
        return fail(kEdom);
    return add_to_physmap(call, TRY(read_guest<xen_add_to_physmap>(call.vcpu, call.argument())));
}

Hypercall_result add_to_physmap(const Memory_call& call, const xen_add_to_physmap& op)
{
    // Foreign pages come in batches, which say whose they are.
    if (op.space == XENMAPSPACE_gmfn_foreign)
        return fail(Errc::enosys);
    const auto domain = TRY(domain_acted_on(Domid(op.domid), call.caller()));
    TRY(check_space(call, *domain, op.space));
    if (op.space == XENMAPSPACE_gmfn_range)
        return move_range(call, *domain, op);
    TRY(add_one(*domain, op.space, op.idx, Gfn(op.gpfn)));
    return 0;
}

Hypercall_result add_to_physmap_batch(const Memory_call& call)
{
    u64 done = call.start();
    if (done > 0xffff)
        return fail(kEdom);
    const auto op = TRY(read_guest<xen_add_to_physmap_batch>(call.vcpu, call.argument()));
    if (op.space == XENMAPSPACE_gmfn_range)
        return fail(Errc::eopnotsupp);
    const auto domain = TRY(domain_acted_on(Domid(op.domid), call.caller()));
    TRY(check_space(call, *domain, op.space));
    if (op.size < done || (op.size == done && done != 0))
        return fail(kEilseq);
    if (op.space == XENMAPSPACE_dev_mmio && op.u.res0 != 0)
        return fail(Errc::eopnotsupp);
    const Gva indexes = address_of(op.idxs), gfns = address_of(op.gpfns), errors = address_of(op.errs);
    for (Work_budget budget; done < op.size; ++done) {
        if (!budget.spend(kUnitsPerPage))
            return call.again_from(done);
        const u64 index = TRY(read_guest_element<xen_ulong_t>(call.vcpu, indexes, done));
        const Gfn gfn(TRY(read_guest_element<xen_pfn_t>(call.vcpu, gfns, done)));
        if (gfn == kInvalidGfn)
            return fail(Errc::einval);
        const auto added = op.space == XENMAPSPACE_gmfn_foreign
                               ? map_foreign(call, *domain, gfn, op.u.foreign_domid, index)
                               : add_one(*domain, op.space, index, gfn);
        const int error  = added ? 0 : -static_cast<int>(added.error());
        TRY(write_guest_element(call.vcpu, errors, done, error));
    }
    return 0;
}

Expected<void> remove_from_physmap(Vcpu& caller, const xen_remove_from_physmap& op)
{
    const auto domain  = TRY(domain_acted_on(Domid(op.domid), caller.domain()));
    const P2m_entry at = domain->p2m().lookup(Gfn(op.gpfn));
    if (!at.present() || is_mmio(at.type))
        return fail(Errc::enoent);
    return give_up(*domain, Gfn(op.gpfn), kOrder4k);
}

} // namespace vmm
