// SPDX-License-Identifier: Apache-2.0
//
// Most structures are the same in both ABIs, for their words have a width of their own; then the usual
// handler reads them. The others are widened here.
#include "hypercall/narrow_calls.hpp"

#include "debug/log.hpp"
#include "domain/domain.hpp"
#include "hypercall/memory_op.hpp"

#include <xen/grant_table.h>
#include <xen/sched.h>
#include <xen/version.h>

namespace vmm
{
namespace
{

struct Add_to_physmap {
    u16 domid, size;
    u32 space, idx, gpfn;
};

struct Memory_map {
    u32 nr_entries, buffer;
};

struct Foreign_memory_map {
    u16 domid;
    Memory_map map;
};

Hypercall_result refuse(Vcpu& vcpu, u64 number, const Hypercall_args& args)
{
    if (vcpu.domain().note_32bit_call())
        log::guest(log::Level::warning,
                   "d{}v{}: 32-bit code makes hypercall {} ({}), which only 64-bit kernels can make; rip {x}",
                   vcpu.domain().id(), vcpu.id(), number, args.a[0], vcpu.regs.rip);
    return fail(Errc::enosys);
}

xen_memory_map widened(const Memory_map& from)
{
    xen_memory_map to{};
    to.nr_entries = from.nr_entries;
    to.buffer.p   = reinterpret_cast<void*>(u64{from.buffer});
    return to;
}

Hypercall_result add_one_to_physmap(const Memory_call& call)
{
    if (call.start() > 0xffff)
        return fail(kEdom);
    const auto op = TRY(read_guest<Add_to_physmap>(call.vcpu, call.argument()));
    xen_add_to_physmap wide{};
    wide.domid = op.domid;
    wide.size  = op.size;
    wide.space = op.space;
    wide.idx   = op.idx;
    wide.gpfn  = op.gpfn;
    return add_to_physmap(call, wide);
}

Hypercall_result read_memory_map(const Memory_call& call)
{
    auto op   = TRY(read_guest<Memory_map>(call.vcpu, call.argument()));
    auto wide = widened(op);
    TRY(memory_map(call.vcpu, wide));
    op.nr_entries = wide.nr_entries;
    TRY(write_guest(call.vcpu, call.argument(), op));
    return 0;
}

Hypercall_result write_memory_map(const Memory_call& call)
{
    const auto op = TRY(read_guest<Foreign_memory_map>(call.vcpu, call.argument()));
    xen_foreign_memory_map wide{};
    wide.domid = op.domid;
    wide.map   = widened(op.map);
    TRY(set_memory_map(call.vcpu, wide));
    return 0;
}

Hypercall_result memory_op(Vcpu& vcpu, Hypercall_args& args)
{
    const Memory_call call{vcpu, args};
    if (call.command() == XENMEM_add_to_physmap)
        return add_one_to_physmap(call);
    switch (args.a[0]) { // none of these is ever continued
    case XENMEM_memory_map: return read_memory_map(call);
    case XENMEM_set_memory_map: return write_memory_map(call);
    case XENMEM_maximum_ram_page:
    case XENMEM_current_reservation:
    case XENMEM_maximum_reservation:
    case XENMEM_maximum_gpfn: return do_memory_op(vcpu, args);
    default: return refuse(vcpu, __HYPERVISOR_memory_op, args);
    }
}

Hypercall_result sched_op(Vcpu& vcpu, Hypercall_args& args)
{
    switch (args.a[0]) {
    case SCHEDOP_yield:
    case SCHEDOP_block:
    case SCHEDOP_shutdown: return do_sched_op(vcpu, args);
    default: return refuse(vcpu, __HYPERVISOR_sched_op, args);
    }
}

// GRUB asks for some that have no effect on it, and does not look at the answer.
Hypercall_result grant_table_op(Vcpu& vcpu, Hypercall_args& args)
{
    switch (args.a[0]) {
    case GNTTABOP_map_grant_ref:
    case GNTTABOP_unmap_grant_ref:
    case GNTTABOP_query_size:
    case GNTTABOP_set_version:
    case GNTTABOP_get_version: return do_grant_table_op(vcpu, args);
    case GNTTABOP_copy: return refuse(vcpu, __HYPERVISOR_grant_table_op, args);
    default: return fail(Errc::enosys);
    }
}

} // namespace

Hypercall_result narrow_call(Vcpu& vcpu, u64 number, Hypercall_args& args)
{
    switch (number) {
    case __HYPERVISOR_memory_op: return memory_op(vcpu, args);
    case __HYPERVISOR_sched_op: return sched_op(vcpu, args);
    case __HYPERVISOR_grant_table_op: return grant_table_op(vcpu, args);
    case __HYPERVISOR_event_channel_op: return do_event_channel_op(vcpu, args);
    case __HYPERVISOR_hvm_op: return do_hvm_op(vcpu, args);
    case __HYPERVISOR_console_io: return do_console_io(vcpu, args);
    case __HYPERVISOR_xen_version:
        if (args.a[0] != XENVER_platform_parameters)
            return do_xen_version(vcpu, args);
        [[fallthrough]];
    default: return refuse(vcpu, number, args);
    }
}

} // namespace vmm
