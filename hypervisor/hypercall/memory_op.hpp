// SPDX-License-Identifier: Apache-2.0
//
// What the families of XENMEM_* have in common. The operation number carries, in its upper bits, how many
// extents an earlier part of the same call did; a call that has done its share stops and is continued with
// that number updated. [xen/include/public/memory.h, MEMOP_EXTENT_SHIFT]
#pragma once

#include "domain/domain_table.hpp"
#include "domain/vcpu.hpp"
#include "hypercall/argument.hpp"

#include <xen/memory.h>

namespace vmm
{

inline constexpr unsigned kExtentShift = 6;
inline constexpr u64 kCommandMask      = (1u << kExtentShift) - 1;
inline constexpr u64 kMaxExtents       = ~0u >> kExtentShift; // that a continuation can express

// Errors only memory operations know. [xen/include/public/errno.h]
inline constexpr Errc kEdom{XEN_EDOM};
inline constexpr Errc kEilseq{XEN_EILSEQ};

struct Memory_call {
    Vcpu& vcpu;
    Hypercall_args& args;

    [[nodiscard]] unsigned command() const { return static_cast<unsigned>(args.a[0] & kCommandMask); }
    [[nodiscard]] u64 start() const { return args.a[0] >> kExtentShift; }
    [[nodiscard]] Gva argument() const { return Gva(args.a[1]); }
    [[nodiscard]] Domain& caller() const { return vcpu.domain(); }
    // Come back to go on after `done` extents.
    Unexpected again_from(u64 done) const
    {
        args.a[0] = command() | done << kExtentShift;
        return fail(Errc::erestart);
    }
};

// How much of a call is done before the guest gets a chance to take its interrupts, in units of roughly
// a hundred instructions.
class Work_budget
{
  public:
    // False when there is none left; the first piece is always allowed.
    bool spend(u64 units)
    {
        const bool allowed = left_ > 0;
        left_ -= units < left_ ? units : left_;
        return allowed;
    }

  private:
    u64 left_ = 1024;
};

// Another domain, for operations that nobody does to itself. Esrch, eperm.
inline Expected<Ref<Domain>> other_domain(const Memory_call& call, u16 domid)
{
    auto domain = find_domain(Domid(domid));
    if (!domain)
        return fail(Errc::esrch);
    if (domain.get() == &call.caller())
        return fail(Errc::eperm);
    return domain;
}

Hypercall_result change_reservation(const Memory_call& call); // increase, decrease, populate
Hypercall_result read_reservation(const Memory_call& call);   // current, maximum, highest frame
Hypercall_result pod_target(const Memory_call& call);
Hypercall_result add_to_physmap(const Memory_call& call);
Hypercall_result add_to_physmap(const Memory_call& call, const xen_add_to_physmap& op);
Hypercall_result add_to_physmap_batch(const Memory_call& call);
Hypercall_result acquire_resource(const Memory_call& call);
Hypercall_result sharing_op(const Memory_call& call);

// Those that are never continued and answer in their structure.
Expected<void> claim_pages(Vcpu& caller, const xen_memory_reservation& r);
Expected<void> remove_from_physmap(Vcpu& caller, const xen_remove_from_physmap& op);
Expected<void> memory_map(Vcpu& caller, xen_memory_map& op);
Expected<void> set_memory_map(Vcpu& caller, const xen_foreign_memory_map& op);
Expected<void> reserved_device_memory_map(Vcpu& caller, xen_reserved_device_memory_map& op);
Expected<void> vnuma_info(Vcpu& caller, const xen_vnuma_topology_info& op);

} // namespace vmm
