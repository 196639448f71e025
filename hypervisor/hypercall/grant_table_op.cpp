// SPDX-License-Identifier: Apache-2.0
//
// GNTTABOP_*: the operations that come as arrays. Structures are copied in and out in groups, so that a
// batch pays for the walk of the guest's page tables once a group, and a long batch is continued after
// every few groups. The single operations are in grant_table_op_single.cpp.
// Those that make sense only with page tables the hypervisor sees (transfer, unmap_and_replace), only on
// other architectures (cache_flush) or only with version 2 (get_status_frames) are not there, as for every
// HVM guest.
#include "hypercall/grant_table_op.hpp"

#include "base/bits.hpp"
#include "domain/vcpu.hpp"
#include "exit/guest_memory.hpp"
#include "grant/grant_table.hpp"

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

template <class Op, class Function>
Hypercall_result for_each_op(Vcpu& vcpu, Hypercall_args& args, Function operation)
{
    return for_each_group<Op>(vcpu, args, [&](std::span<Op> group) {
        for (Op& op : group)
            operation(op);
    });
}

Hypercall_result map(Vcpu& vcpu, Hypercall_args& args, Grant_table& grants)
{
    Named_domain granter;
    return for_each_op<gnttab_map_grant_ref>(vcpu, args, [&](auto& op) { grants.map(op, granter); });
}

Hypercall_result copy(Vcpu& vcpu, Hypercall_args& args, Grant_table& grants)
{
    Named_domain source;
    Named_domain destination;
    return for_each_op<gnttab_copy>(vcpu, args, [&](auto& op) { grants.copy(op, source, destination); });
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
        return for_each_op<gnttab_swap_grant_ref>(vcpu, args, [&](auto& op) {
            op.status = static_cast<s16>(grants.swap(Grant_ref(op.ref_a), Grant_ref(op.ref_b)));
        });
    default: return do_single_grant_table_op(vcpu, command, Gva(args.a[1]), count);
    }
}

} // namespace vmm
