// SPDX-License-Identifier: Apache-2.0
//
// How much memory a domain has: populate and decrease (the balloon, and the toolstack's builder), claims,
// and the numbers. Populate and decrease never fail: they return how many extents they did.
#include "hypercall/memory_op.hpp"

#include "base/bits.hpp"
#include "mm/reservation.hpp"

namespace vmm
{
namespace
{

constexpr unsigned kGuestMaxOrder = kOrder2m; // what a domU may ask for in one extent

unsigned max_order(const Domain& caller) { return caller.is_control() ? kOrder1g : kGuestMaxOrder; }

// An address limit that no memory could satisfy. [XENMEMF_address_bits]
bool is_impossible(unsigned mem_flags)
{
    const unsigned bits = XENMEMF_get_address_bits(mem_flags);
    return bits != 0 && bits <= kPageShift;
}

bool change_extent(unsigned command, Domain& domain, Gfn gfn, unsigned order, Giving_up& given_up)
{
    if (command == XENMEM_populate_physmap)
        return populate(domain, gfn, order).has_value();
    return give_up_all(domain, gfn, order, given_up).has_value();
}

} // namespace

// Populate-on-demand is answered by populating at once: a domain whose balloon starts deflated gives the rest
// back by itself.
Hypercall_result change_reservation(const Memory_call& call)
{
    const auto r = read_guest<xen_memory_reservation>(call.vcpu, call.argument());
    u64 done     = call.start();
    if (!r || r->nr_extents > kMaxExtents || done >= r->nr_extents)
        return done;
    const auto domain = domain_acted_on(Domid(r->domid), call.caller());
    if (!domain || is_impossible(r->mem_flags) || r->extent_order > max_order(call.caller()))
        return done;
    // Memory without a place in the guest's address space is of no use to a translated guest.
    if (call.command() == XENMEM_increase_reservation)
        return done;
    const Gva list = address_of(r->extent_start);
    const u64 cost = 16 + (bit(r->extent_order) >> 3);
    Giving_up given_up(**domain);
    for (Work_budget budget; done < r->nr_extents; ++done) {
        if (!budget.spend(cost))
            return call.again_from(done);
        const auto gfn = read_guest_element<xen_pfn_t>(call.vcpu, list, done);
        if (!gfn || !change_extent(call.command(), **domain, Gfn(*gfn), r->extent_order, given_up))
            break;
    }
    return done;
}

Hypercall_result read_reservation(const Memory_call& call)
{
    const auto which  = TRY(read_guest<xen_memory_domain>(call.vcpu, call.argument()));
    const auto domain = TRY(domain_acted_on(Domid(which.domid), call.caller()));
    switch (call.command()) {
    case XENMEM_current_reservation: return domain->owned_frames();
    case XENMEM_maximum_reservation: return domain->max_frames();
    default: return domain->p2m().max_gfn().value();
    }
}

Expected<void> claim_pages(Vcpu& caller, const xen_memory_reservation& r)
{
    if (r.extent_start.p != nullptr || r.extent_order != 0 || r.mem_flags != 0)
        return fail(Errc::einval);
    const auto domain = find_domain(Domid(r.domid));
    if (!domain)
        return fail(Errc::einval);
    if (!caller.domain().is_control())
        return fail(Errc::eperm);
    // One claim at a time.
    if (r.nr_extents != 0 && domain->claimed_frames() != 0)
        return fail(Errc::einval);
    return domain->claim_frames(r.nr_extents);
}

// There is no populate-on-demand cache: every target is met at once, and nothing waits to be populated.
Hypercall_result pod_target(const Memory_call& call)
{
    auto target       = TRY(read_guest<xen_pod_target_t>(call.vcpu, call.argument()));
    const auto domain = TRY(domain_or_self(Domid(target.domid), call.caller()));
    if (!call.caller().is_control())
        return fail(Errc::eperm);
    if (call.command() == XENMEM_set_pod_target && target.target_pages > domain->max_frames())
        return fail(Errc::einval);
    target.tot_pages       = domain->owned_frames();
    target.pod_cache_pages = 0;
    target.pod_entries     = 0;
    TRY(write_guest(call.vcpu, call.argument(), target));
    return 0;
}

} // namespace vmm
