// SPDX-License-Identifier: Apache-2.0
//
// What hypercalls answer to pointers that lead nowhere.
//
// Every operation that takes a structure is called twice: with an address the guest's page tables do not
// map, and with one they map to guest-physical addresses where there is no memory. None may do anything, all
// have to come back: with -EFAULT, except where Xen says otherwise. The memory reservation calls count the
// extents they finished, so that a structure they cannot read means "0 extents", which is not an error
// number. Calls that look at their command before their pointer are given commands that exist. (The machine's
// memory map is for PV guests only.)
//
// The answers in the table are those of Xen 4.17.
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/verdict.hpp"

#include <xen/physdev.h>
#include <xen/platform.h>

using namespace vmm::guest;

const char* const kTestName = "bad_pointers";

namespace
{

constexpr u64 kUnmapped = 0x0000'7000'0000'0000; // no page tables there
constexpr u64 kNoMemory = 0x0000'0000'6000'0000; // mapped, but nothing behind
constexpr u64 kPointer  = ~0ull;                 // in the table: where the bad pointer goes

struct Call {
    const char* name;
    u64 number;
    u64 a[4];
    s64 answer = -XEN_EFAULT;
};

constexpr Call kCalls[] = {
    {"memory_op increase_reservation", __HYPERVISOR_memory_op, {XENMEM_increase_reservation, kPointer}, 0},
    {"memory_op decrease_reservation", __HYPERVISOR_memory_op, {XENMEM_decrease_reservation, kPointer}, 0},
    {"memory_op populate_physmap", __HYPERVISOR_memory_op, {XENMEM_populate_physmap, kPointer}, 0},
    {"memory_op current_reservation", __HYPERVISOR_memory_op, {XENMEM_current_reservation, kPointer}},
    {"memory_op maximum_reservation", __HYPERVISOR_memory_op, {XENMEM_maximum_reservation, kPointer}},
    {"memory_op maximum_gpfn", __HYPERVISOR_memory_op, {XENMEM_maximum_gpfn, kPointer}},
    {"memory_op add_to_physmap", __HYPERVISOR_memory_op, {XENMEM_add_to_physmap, kPointer}},
    {"memory_op add_to_physmap_batch", __HYPERVISOR_memory_op, {XENMEM_add_to_physmap_batch, kPointer}},
    {"memory_op remove_from_physmap", __HYPERVISOR_memory_op, {XENMEM_remove_from_physmap, kPointer}},
    {"memory_op memory_map", __HYPERVISOR_memory_op, {XENMEM_memory_map, kPointer}},
    {"memory_op machine_memory_map",
     __HYPERVISOR_memory_op,
     {XENMEM_machine_memory_map, kPointer},
     -XEN_ENOSYS},
    {"memory_op set_memory_map", __HYPERVISOR_memory_op, {XENMEM_set_memory_map, kPointer}},
    {"memory_op claim_pages", __HYPERVISOR_memory_op, {XENMEM_claim_pages, kPointer}},
    {"memory_op acquire_resource", __HYPERVISOR_memory_op, {XENMEM_acquire_resource, kPointer}},
    {"xen_version extraversion", __HYPERVISOR_xen_version, {XENVER_extraversion, kPointer}},
    {"xen_version compile_info", __HYPERVISOR_xen_version, {XENVER_compile_info, kPointer}},
    {"xen_version capabilities", __HYPERVISOR_xen_version, {XENVER_capabilities, kPointer}},
    {"xen_version changeset", __HYPERVISOR_xen_version, {XENVER_changeset, kPointer}},
    {"xen_version platform_parameters", __HYPERVISOR_xen_version, {XENVER_platform_parameters, kPointer}},
    {"xen_version get_features", __HYPERVISOR_xen_version, {XENVER_get_features, kPointer}},
    {"xen_version guest_handle", __HYPERVISOR_xen_version, {XENVER_guest_handle, kPointer}},
    {"xen_version commandline", __HYPERVISOR_xen_version, {XENVER_commandline, kPointer}},
    {"console_io write", __HYPERVISOR_console_io, {CONSOLEIO_write, 1, kPointer}},
    {"grant_table_op map_grant_ref", __HYPERVISOR_grant_table_op, {GNTTABOP_map_grant_ref, kPointer, 1}},
    {"grant_table_op unmap_grant_ref", __HYPERVISOR_grant_table_op, {GNTTABOP_unmap_grant_ref, kPointer, 1}},
    {"grant_table_op setup_table", __HYPERVISOR_grant_table_op, {GNTTABOP_setup_table, kPointer, 1}},
    {"grant_table_op copy", __HYPERVISOR_grant_table_op, {GNTTABOP_copy, kPointer, 1}},
    {"grant_table_op query_size", __HYPERVISOR_grant_table_op, {GNTTABOP_query_size, kPointer, 1}},
    {"grant_table_op set_version", __HYPERVISOR_grant_table_op, {GNTTABOP_set_version, kPointer, 1}},
    {"grant_table_op get_version", __HYPERVISOR_grant_table_op, {GNTTABOP_get_version, kPointer, 1}},
    {"grant_table_op swap_grant_ref", __HYPERVISOR_grant_table_op, {GNTTABOP_swap_grant_ref, kPointer, 1}},
    {"vcpu_op register_runstate", __HYPERVISOR_vcpu_op, {VCPUOP_register_runstate_memory_area, 0, kPointer}},
    {"vcpu_op set_singleshot_timer", __HYPERVISOR_vcpu_op, {VCPUOP_set_singleshot_timer, 0, kPointer}},
    {"vcpu_op register_vcpu_info", __HYPERVISOR_vcpu_op, {VCPUOP_register_vcpu_info, 0, kPointer}},
    {"vcpu_op register_time_area",
     __HYPERVISOR_vcpu_op,
     {VCPUOP_register_vcpu_time_memory_area, 0, kPointer}},
    {"sched_op shutdown", __HYPERVISOR_sched_op, {SCHEDOP_shutdown, kPointer}},
    {"sched_op poll", __HYPERVISOR_sched_op, {SCHEDOP_poll, kPointer}},
    {"sched_op remote_shutdown", __HYPERVISOR_sched_op, {SCHEDOP_remote_shutdown, kPointer}},
    {"sched_op watchdog", __HYPERVISOR_sched_op, {SCHEDOP_watchdog, kPointer}},
    {"event_channel_op bind_interdomain",
     __HYPERVISOR_event_channel_op,
     {EVTCHNOP_bind_interdomain, kPointer}},
    {"event_channel_op bind_virq", __HYPERVISOR_event_channel_op, {EVTCHNOP_bind_virq, kPointer}},
    {"event_channel_op bind_pirq", __HYPERVISOR_event_channel_op, {EVTCHNOP_bind_pirq, kPointer}},
    {"event_channel_op close", __HYPERVISOR_event_channel_op, {EVTCHNOP_close, kPointer}},
    {"event_channel_op send", __HYPERVISOR_event_channel_op, {EVTCHNOP_send, kPointer}},
    {"event_channel_op status", __HYPERVISOR_event_channel_op, {EVTCHNOP_status, kPointer}},
    {"event_channel_op alloc_unbound", __HYPERVISOR_event_channel_op, {EVTCHNOP_alloc_unbound, kPointer}},
    {"event_channel_op bind_ipi", __HYPERVISOR_event_channel_op, {EVTCHNOP_bind_ipi, kPointer}},
    {"event_channel_op bind_vcpu", __HYPERVISOR_event_channel_op, {EVTCHNOP_bind_vcpu, kPointer}},
    {"event_channel_op unmask", __HYPERVISOR_event_channel_op, {EVTCHNOP_unmask, kPointer}},
    {"event_channel_op reset", __HYPERVISOR_event_channel_op, {EVTCHNOP_reset, kPointer}},
    {"event_channel_op init_control", __HYPERVISOR_event_channel_op, {EVTCHNOP_init_control, kPointer}},
    {"event_channel_op expand_array", __HYPERVISOR_event_channel_op, {EVTCHNOP_expand_array, kPointer}},
    {"event_channel_op set_priority", __HYPERVISOR_event_channel_op, {EVTCHNOP_set_priority, kPointer}},
    {"physdev_op pci_device_add", __HYPERVISOR_physdev_op, {PHYSDEVOP_pci_device_add, kPointer}},
    {"physdev_op pci_device_remove", __HYPERVISOR_physdev_op, {PHYSDEVOP_pci_device_remove, kPointer}},
    {"hvm_op set_param", __HYPERVISOR_hvm_op, {HVMOP_set_param, kPointer}},
    {"hvm_op get_param", __HYPERVISOR_hvm_op, {HVMOP_get_param, kPointer}},
    {"hvm_op set_evtchn_upcall_vector", __HYPERVISOR_hvm_op, {HVMOP_set_evtchn_upcall_vector, kPointer}},
    {"multicall", __HYPERVISOR_multicall, {kPointer, 1}},
    {"sysctl", __HYPERVISOR_sysctl, {kPointer}},
    {"domctl", __HYPERVISOR_domctl, {kPointer}},
    {"platform_op", __HYPERVISOR_platform_op, {kPointer}},
};

void try_call(const Call& call, u64 pointer)
{
    u64 a[4];
    for (int i = 0; i < 4; ++i)
        a[i] = call.a[i] == kPointer ? pointer : call.a[i];
    const s64 answer = hypercall(call.number, a[0], a[1], a[2], a[3]);
    if (answer != call.answer)
        NOTE(failure, call.name, " at ", hex(pointer), " answers ", answer, ", not ", call.answer);
}

} // namespace

void test_main()
{
    for (const Call& call : kCalls) {
        for (const u64 pointer : {kUnmapped, kNoMemory})
            try_call(call, pointer);
    }
    // A structure that begins in memory and ends outside is no better.
    const u64 last_byte = 0x2'0000'0000 - 1; // the last of what the page tables map
    CHECK_EQUAL(hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_send, last_byte), -XEN_EFAULT);
}
