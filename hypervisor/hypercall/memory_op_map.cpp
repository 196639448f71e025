// SPDX-License-Identifier: Apache-2.0
//
// Descriptions of memory that the hypervisor keeps or knows to be empty: the E820 map a guest may ask for,
// reserved regions of devices (there is no IOMMU that would need any), virtual NUMA (not offered).
#include "hypercall/memory_op.hpp"

#include <algorithm>

namespace vmm
{

Expected<void> memory_map(Vcpu& caller, xen_memory_map& op)
{
    // Another vCPU may be replacing the map.
    const Lock_guard guard(caller.domain().lock());
    const auto entries = caller.domain().memory_map.entries();
    if (entries.empty())
        return fail(Errc::enosys);
    op.nr_entries = std::min(op.nr_entries, static_cast<unsigned>(entries.size()));
    return copy_to_guest(caller, address_of(op.buffer), entries.data(), op.nr_entries * sizeof(E820_entry));
}

Expected<void> set_memory_map(Vcpu& caller, const xen_foreign_memory_map& op)
{
    if (op.map.nr_entries > Guest_memory_map::kMaxEntries)
        return fail(Errc::einval);
    const auto domain = TRY(domain_acted_on(Domid(op.domid), caller.domain()));
    Guest_memory_map fresh;
    const auto entries = TRY(fresh.replace(op.map.nr_entries));
    TRY(copy_from_guest(caller, entries.data(), address_of(op.map.buffer), entries.size_bytes()));
    const Lock_guard guard(domain->lock());
    domain->memory_map.swap(fresh);
    return {};
}

Expected<void> reserved_device_memory_map(Vcpu&, xen_reserved_device_memory_map& op)
{
    if (op.flags & ~static_cast<unsigned>(XENMEM_RDM_ALL))
        return fail(Errc::einval);
    op.nr_entries = 0;
    return {};
}

Expected<void> vnuma_info(Vcpu& caller, const xen_vnuma_topology_info& op)
{
    if (op.pad != 0)
        return fail(Errc::einval);
    TRY(domain_acted_on(Domid(op.domid), caller.domain()));
    return fail(Errc::eopnotsupp);
}

} // namespace vmm
