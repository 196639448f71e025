// SPDX-License-Identifier: Apache-2.0
//
// Descriptions of memory that the hypervisor keeps or knows to be empty: the E820 map a guest may ask for,
// reserved regions of devices (there is no IOMMU that would need any), virtual NUMA (not offered).
#include "hypercall/memory_op.hpp"

#include "base/bits.hpp"

#include <algorithm>

namespace vmm
{

Hypercall_result memory_map(const Memory_call& call)
{
    auto op            = TRY(read_guest<xen_memory_map>(call.vcpu, call.argument()));
    const auto entries = call.caller().memory_map.entries();
    if (entries.empty())
        return fail(Errc::enosys);
    op.nr_entries = std::min(op.nr_entries, static_cast<unsigned>(entries.size()));
    TRY(copy_to_guest(call.vcpu, Gva(reinterpret_cast<u64>(op.buffer.p)), entries.data(),
                      op.nr_entries * sizeof(E820_entry)));
    TRY(write_guest(call.vcpu, call.argument(), op));
    return 0;
}

Hypercall_result set_memory_map(const Memory_call& call)
{
    const auto op = TRY(read_guest<xen_foreign_memory_map>(call.vcpu, call.argument()));
    if (op.map.nr_entries > Guest_memory_map::kMaxEntries)
        return fail(Errc::einval);
    const auto domain = TRY(memory_target(call.caller(), op.domid));
    Guest_memory_map fresh;
    const auto entries = TRY(fresh.replace(op.map.nr_entries));
    TRY(copy_from_guest(call.vcpu, entries.data(), Gva(reinterpret_cast<u64>(op.map.buffer.p)),
                        entries.size_bytes()));
    const Lock_guard guard(domain->lock());
    domain->memory_map.swap(fresh);
    return 0;
}

Hypercall_result reserved_device_memory_map(const Memory_call& call)
{
    auto op = TRY(read_guest<xen_reserved_device_memory_map>(call.vcpu, call.argument()));
    if (op.flags & ~static_cast<unsigned>(XENMEM_RDM_ALL))
        return fail(Errc::einval);
    op.nr_entries = 0;
    TRY(write_guest(call.vcpu, call.argument(), op));
    return 0;
}

Hypercall_result vnuma_info(const Memory_call& call)
{
    const auto op = TRY(read_guest<xen_vnuma_topology_info>(call.vcpu, call.argument()));
    if (op.pad != 0)
        return fail(Errc::einval);
    TRY(memory_target(call.caller(), op.domid));
    return fail(Errc::eopnotsupp);
}

} // namespace vmm
