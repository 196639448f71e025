// SPDX-License-Identifier: Apache-2.0
//
// GNTTABOP_* about a grant table as a whole.
#include "hypercall/grant_table_op.hpp"

#include "domain/domain_table.hpp"
#include "domain/vcpu.hpp"
#include "grant/grant_table.hpp"
#include "hypercall/argument.hpp"

namespace vmm
{

namespace
{

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

} // namespace

Hypercall_result do_single_grant_table_op(Vcpu& vcpu, u32 command, Gva arg, u32 count)
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

} // namespace vmm
