// SPDX-License-Identifier: Apache-2.0
//
// GNTTABOP_*. Of the operations that come as arrays, structures are copied in and out in groups, so that a
// batch pays for the walk of the guest's page tables once a group, and a long batch is continued after every
// few groups.
// Those that make sense only with page tables the hypervisor sees (transfer, unmap_and_replace), only on
// other architectures (cache_flush) or only with version 2 (get_status_frames) are not there, as for every
// HVM guest.
#include "base/bits.hpp"
#include "domain/domain_table.hpp"
#include "domain/vcpu.hpp"
#include "grant/grant_table.hpp"
#include "hypercall/argument.hpp"

#include <algorithm>

namespace vmm
{

namespace
{

constexpr u32 kGroup         = Grant_table::kMostUnmapped;
constexpr u32 kGroupsPerCall = 4;

// Applies `operation` to the structures, group by group; what it did not get to is left in the arguments. One
// by itself, as a driver has that maps a ring, goes through less.
template <class Op, class Function>
Hypercall_result for_each_group(Vcpu& vcpu, Hypercall_args& args, Function operation)
{
    if (args.a[2] == 1) {
        Op op = TRY(read_guest<Op>(vcpu, Gva(args.a[1])));
        operation(std::span(&op, 1));
        TRY(write_guest(vcpu, Gva(args.a[1]), op));
        return 0;
    }
    Op group[kGroup];
    for (u32 groups = 0; args.a[2] != 0; ++groups) {
        if (groups == kGroupsPerCall)
            return fail(Errc::erestart);
        const u32 count = static_cast<u32>(std::min<u64>(args.a[2], kGroup));
        const Gva array(args.a[1]);
        TRY(copy_from_guest(vcpu, group, array, count * sizeof(Op)));
        operation(std::span(group, count));
        TRY(copy_to_guest(vcpu, array, group, count * sizeof(Op)));
        args.a[1] += count * sizeof(Op);
        args.a[2] -= count;
    }
    return 0;
}

// The same for one after the other, each with an outcome of its own.
template <class Op, class Function>
Hypercall_result for_each_op(Vcpu& vcpu, Hypercall_args& args, Function operation)
{
    return for_each_group<Op>(vcpu, args, [&](std::span<Op> group) {
        for (Op& op : group)
            op.status = static_cast<s16>(operation(op));
    });
}

Hypercall_result map(Vcpu& vcpu, Hypercall_args& args, Grant_table& grants)
{
    Named_domain granter;
    return for_each_op<gnttab_map_grant_ref>(vcpu, args, [&](auto& op) { return grants.map(op, granter); });
}

Hypercall_result copy(Vcpu& vcpu, Hypercall_args& args, Grant_table& grants)
{
    Named_domain source;
    Named_domain destination;
    return for_each_op<gnttab_copy>(vcpu, args,
                                    [&](auto& op) { return grants.copy(op, source, destination); });
}

// Why the caller may not ask, as the structures of these operations say it.
s16 refusal(Errc why) { return why == Errc::esrch ? GNTST_bad_domain : GNTST_permission_denied; }

s16 write_frame_list(Vcpu& vcpu, Grant_table& grants, const gnttab_setup_table& op)
{
    if (op.nr_frames > grants.max_frames())
        return GNTST_general_error;
    if (op.nr_frames != 0 && !grants.frame(op.nr_frames - 1))
        return GNTST_general_error;
    const Gva list = address_of(op.frame_list);
    for (u32 i = 0; i < op.nr_frames; ++i) {
        const xen_pfn_t gfn = grants.frame_gfn(i).value();
        if (!write_guest_element(vcpu, list, i, gfn))
            return GNTST_bad_virt_addr;
    }
    return GNTST_okay;
}

Expected<void> setup_table(Vcpu& vcpu, gnttab_setup_table& op)
{
    const auto domain = domain_acted_on(Domid(op.dom), vcpu.domain());
    op.status         = domain ? write_frame_list(vcpu, (*domain)->grants(), op) : refusal(domain.error());
    return {};
}

Expected<void> query_size(Vcpu& vcpu, gnttab_query_size& op)
{
    const auto domain = domain_acted_on(Domid(op.dom), vcpu.domain());
    op.status         = domain ? s16{GNTST_okay} : refusal(domain.error());
    if (domain) {
        op.nr_frames     = (*domain)->grants().frame_count();
        op.max_nr_frames = (*domain)->grants().max_frames();
    }
    return {};
}

// Version 1 is all there is: asking for 2 is answered as by a hypervisor limited to 1, and the version in
// force is told in either case.
Hypercall_result set_version(Vcpu& vcpu, Gva arg)
{
    const u32 wanted = TRY(read_guest<gnttab_set_version>(vcpu, arg)).version;
    TRY(write_guest(vcpu, arg, gnttab_set_version{.version = 1}));
    if (wanted == 1)
        return 0;
    return fail(wanted == 2 ? Errc::enosys : Errc::einval);
}

Expected<void> get_version(Vcpu& vcpu, gnttab_get_version& op)
{
    TRY(domain_acted_on(Domid(op.dom), vcpu.domain()));
    op.version = 1;
    return {};
}

// About a table as a whole, kept out of the way of the operations on pages.
[[gnu::noinline]] Hypercall_result manage(Vcpu& vcpu, u32 command, Gva arg, u32 count)
{
    if (command == GNTTABOP_get_version)
        return with_argument(vcpu, arg, get_version);
    if (command == GNTTABOP_set_version)
        return set_version(vcpu, arg);
    if (command != GNTTABOP_setup_table && command != GNTTABOP_query_size)
        return fail(Errc::enosys);
    if (count != 1)
        return fail(Errc::einval);
    return command == GNTTABOP_setup_table ? with_argument(vcpu, arg, setup_table)
                                           : with_argument(vcpu, arg, query_size);
}

} // namespace

Hypercall_result do_grant_table_op(Vcpu& vcpu, Hypercall_args& args)
{
    const u32 count = static_cast<u32>(args.a[2]);
    if (count & bit(31))
        return fail(Errc::einval);
    args.a[2] = count;

    Grant_table& grants = vcpu.domain().grants();
    switch (const u32 command = static_cast<u32>(args.a[0])) {
    case GNTTABOP_map_grant_ref: return map(vcpu, args, grants);
    case GNTTABOP_unmap_grant_ref:
        return for_each_group<gnttab_unmap_grant_ref>(vcpu, args, [&](auto group) { grants.unmap(group); });
    case GNTTABOP_copy: return copy(vcpu, args, grants);
    case GNTTABOP_swap_grant_ref:
        return for_each_op<gnttab_swap_grant_ref>(
            vcpu, args, [&](auto& op) { return grants.swap(Grant_ref(op.ref_a), Grant_ref(op.ref_b)); });
    default: return manage(vcpu, command, Gva(args.a[1]), count);
    }
}

} // namespace vmm
