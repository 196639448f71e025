// SPDX-License-Identifier: Apache-2.0
//
// What hypercalls answer to arguments that are well-formed and make no sense: operations nobody has, vCPUs
// and ports that are not there, sizes and orders out of range, pages that cannot be where they are wanted.
// Every call is made by the control domain, so that no answer is about permission. None may do anything, and
// all have to come back.
//
// The answers in the table are those of Xen 4.17.
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/child.hpp"
#include "lib/verdict.hpp"

#include <xen/physdev.h>
#include <xen/platform.h>

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "odd_arguments";

namespace
{

constexpr domid_t kNobody = 0x7000;
constexpr u64 kFarGfn     = 0x70000; // no memory there, but there could be
constexpr u64 kNoGfn      = ~0ull;

constinit domid_t child_id = 0;

template <class Op>
s64 with(u64 number, u64 command, Op op)
{
    return hypercall(number, command, gpa_of(&op));
}
template <class Op>
s64 memory(u64 command, Op op)
{
    return with(__HYPERVISOR_memory_op, command, op);
}
template <class Op>
s64 event(u64 command, Op op)
{
    return with(__HYPERVISOR_event_channel_op, command, op);
}
template <class Op>
s64 sched(u64 command, Op op)
{
    return with(__HYPERVISOR_sched_op, command, op);
}
template <class Op>
s64 hvm(u64 command, Op op)
{
    return with(__HYPERVISOR_hvm_op, command, op);
}
template <class Op>
s64 vcpu(u64 command, u64 id, Op op)
{
    return hypercall(__HYPERVISOR_vcpu_op, command, id, gpa_of(&op));
}
template <class Op>
s64 platform(u32 command, Op fill)
{
    xen_platform_op op{};
    op.cmd               = command;
    op.interface_version = XENPF_INTERFACE_VERSION;
    fill(op.u);
    return hypercall(__HYPERVISOR_platform_op, gpa_of(&op));
}
// What the firmware is to be told of processors: a revision, a number of words, and the first.
s64 processor_capabilities(u32 revision, u32 count)
{
    uint32_t words[] = {revision, count, 0};
    return platform(XENPF_set_processor_pminfo, [&](auto& u) {
        u.set_pminfo.id   = ~0u;
        u.set_pminfo.type = XEN_PM_PDC;
        set_xen_guest_handle(u.set_pminfo.u.pdc, words);
    });
}

s64 reservation(u32 command, domid_t domain, u64 gfn, u32 order, u64 extents = 1, u32 flags = 0)
{
    xen_pfn_t list[2] = {gfn, gfn};
    xen_memory_reservation r{};
    set_xen_guest_handle(r.extent_start, list);
    r.nr_extents   = extents;
    r.extent_order = order;
    r.mem_flags    = flags;
    r.domid        = domain;
    return memory_op(command, &r);
}

s64 add(domid_t domain, u32 space, u64 index, u64 gfn, u32 size = 0)
{
    return memory(
        XENMEM_add_to_physmap,
        xen_add_to_physmap{
            .domid = domain, .size = static_cast<u16>(size), .space = space, .idx = index, .gpfn = gfn});
}

s64 add_batch(u32 space, domid_t from, u64 index, u64 gfn, u32 size, bool answer_of_page = false)
{
    xen_ulong_t i = index;
    xen_pfn_t g   = gfn;
    int error     = 0;
    xen_add_to_physmap_batch op{};
    op.domid           = DOMID_SELF;
    op.space           = static_cast<u16>(space);
    op.size            = static_cast<u16>(size);
    op.u.foreign_domid = from;
    set_xen_guest_handle(op.idxs, &i);
    set_xen_guest_handle(op.gpfns, &g);
    set_xen_guest_handle(op.errs, &error);
    const s64 rc = memory_op(XENMEM_add_to_physmap_batch, &op);
    return answer_of_page && rc == 0 ? error : rc;
}

s64 acquire(domid_t domain, u32 type, u32 id, u64 frame, u32 count, bool list = true, u32 pad = 0)
{
    xen_pfn_t gfn = kFarGfn;
    xen_mem_acquire_resource op{};
    op.domid     = domain;
    op.type      = static_cast<u16>(type);
    op.id        = id;
    op.frame     = frame;
    op.nr_frames = count;
    op.pad       = pad;
    if (list)
        set_xen_guest_handle(op.frame_list, &gfn);
    return memory_op(XENMEM_acquire_resource, &op);
}

s64 reserved_regions(u32 flags)
{
    xen_reserved_device_memory_map op{};
    op.flags = flags;
    return memory_op(XENMEM_reserved_device_memory_map, &op);
}

s64 vnuma_of_child(u16 reserved)
{
    xen_vnuma_topology_info op{};
    op.domid = child_id;
    op.pad   = reserved;
    return memory_op(XENMEM_get_vnumainfo, &op);
}

s64 grant_frames_into(u64 list)
{
    gnttab_setup_table op{};
    op.dom          = DOMID_SELF;
    op.nr_frames    = 1;
    op.frame_list.p = reinterpret_cast<xen_pfn_t*>(list);
    const s64 rc    = grant_op(GNTTABOP_setup_table, &op, 1);
    return rc < 0 ? rc : op.status;
}

s64 grants(u32 command, u32 count)
{
    alignas(8) static char operations[256]; // as large as any two
    return grant_op(command, operations, count);
}

struct Attempt {
    const char* name;
    s64 (*run)();
    s64 answer;
};

const Attempt kAttempts[] = {
    // memory_op
    {"unknown memory_op", [] { return memory_op(60, nullptr); }, -XEN_ENOSYS},
    {"maximum_gpfn continued", [] { return memory_op(XENMEM_maximum_gpfn | 1 << 6, nullptr); }, -XEN_EINVAL},
    {"remove_from_physmap continued", [] { return memory_op(XENMEM_remove_from_physmap | 1 << 6, nullptr); },
     -XEN_EINVAL},
    {"populate of nobody", [] { return reservation(XENMEM_populate_physmap, kNobody, kFarGfn, 0); }, 0},
    {"populate of order 40", [] { return reservation(XENMEM_populate_physmap, child_id, 0, 40); }, 0},
    {"populate where the address bits forbid any",
     [] { return reservation(XENMEM_populate_physmap, child_id, kFarGfn, 0, 1, XENMEMF_address_bits(5)); },
     0},
    {"populate of too many extents",
     [] { return reservation(XENMEM_populate_physmap, child_id, kFarGfn, 0, 1ull << 30); }, 0},
    {"populate of an extent that is not aligned",
     [] { return reservation(XENMEM_populate_physmap, child_id, kFarGfn + 1, 9); }, 1},
    {"decrease of what is not there",
     [] { return reservation(XENMEM_decrease_reservation, child_id, kFarGfn, 0); }, 0},
    {"decrease of order 40", [] { return reservation(XENMEM_decrease_reservation, child_id, 0, 40); }, 0},
    {"add_to_physmap of no space", [] { return add(DOMID_SELF, 99, 0, kFarGfn); }, -XEN_EINVAL},
    {"add_to_physmap of foreign pages", [] { return add(DOMID_SELF, XENMAPSPACE_gmfn_foreign, 0, kFarGfn); },
     -XEN_ENOSYS},
    {"add_to_physmap of a second shared page",
     [] { return add(DOMID_SELF, XENMAPSPACE_shared_info, 1, kFarGfn); }, -XEN_EINVAL},
    {"add_to_physmap of a page that is not there",
     [] { return add(DOMID_SELF, XENMAPSPACE_gmfn, kFarGfn, kFarGfn + 1); }, -XEN_EINVAL},
    {"add_to_physmap of a grant frame beyond the last",
     [] { return add(DOMID_SELF, XENMAPSPACE_grant_table, 0x100000, kFarGfn); }, -XEN_EINVAL},
    {"add_to_physmap of device memory of the child",
     [] { return add(child_id, XENMAPSPACE_dev_mmio, 0, kFarGfn); }, -XEN_EACCES},
    {"add_to_physmap to no page", [] { return add(DOMID_SELF, XENMAPSPACE_shared_info, 0, kNoGfn); },
     -XEN_EINVAL},
    {"add_to_physmap of an empty range",
     [] { return add(DOMID_SELF, XENMAPSPACE_gmfn_range, kFarGfn, kFarGfn + 1); }, 0},
    {"add_to_physmap of a range that wraps",
     [] { return add(DOMID_SELF, XENMAPSPACE_gmfn_range, kNoGfn, kFarGfn, 2); }, -XEN_EOVERFLOW},
    {"batch of a range", [] { return add_batch(XENMAPSPACE_gmfn_range, 0, 0, kFarGfn, 1); }, -XEN_EOPNOTSUPP},
    {"batch of nothing", [] { return add_batch(XENMAPSPACE_gmfn_foreign, child_id, 0, kFarGfn, 0); }, 0},
    {"batch of nobody's pages", [] { return add_batch(XENMAPSPACE_gmfn_foreign, kNobody, 0, kFarGfn, 1); },
     0},
    {"the page of nobody", [] { return add_batch(XENMAPSPACE_gmfn_foreign, kNobody, 0, kFarGfn, 1, true); },
     -XEN_ESRCH},
    {"the page that the child does not have",
     [] { return add_batch(XENMAPSPACE_gmfn_foreign, child_id, kFarGfn, kFarGfn, 1, true); }, -XEN_EINVAL},
    {"acquire_resource with a reserved field", [] { return acquire(child_id, 1, 0, 0, 1, true, 1); },
     -XEN_EINVAL},
    {"acquire_resource of nobody", [] { return acquire(kNobody, 1, 0, 0, 1); }, -XEN_ESRCH},
    {"acquire_resource of itself", [] { return acquire(0, 1, 0, 0, 1); }, -XEN_EPERM},
    {"acquire_resource of DOMID_SELF", [] { return acquire(DOMID_SELF, 1, 0, 0, 1); }, -XEN_ESRCH},
    {"acquire_resource of nothing", [] { return acquire(child_id, 1, 0, 0, 0); }, -XEN_EINVAL},
    {"acquire_resource of a frame beyond the last", [] { return acquire(child_id, 1, 0, 4096, 1); },
     -XEN_EINVAL},
    {"acquire_resource of a frame that wraps", [] { return acquire(child_id, 1, 0, ~0ull, 2); }, -XEN_EINVAL},
    {"acquire_resource that asks the size of one", [] { return acquire(child_id, 1, 0, 0, 1, false); },
     -XEN_EINVAL},
    {"the grant table of no kind", [] { return acquire(child_id, 1, 7, 0, 1); }, -XEN_EINVAL},
    {"claim_pages of order 1", [] { return reservation(XENMEM_claim_pages, child_id, 0, 1); }, -XEN_EINVAL},
    {"reserved_device_memory_map with unknown flags", [] { return reserved_regions(8); }, -XEN_EINVAL},
    {"get_vnumainfo of the child", [] { return vnuma_of_child(0); }, -XEN_EOPNOTSUPP},
    {"get_vnumainfo with a reserved field", [] { return vnuma_of_child(1); }, -XEN_EINVAL},
    // event_channel_op
    {"unknown event_channel_op", [] { return event(77, u32{0}); }, -XEN_ENOSYS},
    {"send through port 0", [] { return event(EVTCHNOP_send, evtchn_send{0}); }, -XEN_EINVAL},
    {"send through no port", [] { return event(EVTCHNOP_send, evtchn_send{~0u}); }, -XEN_EINVAL},
    {"send through a free port", [] { return event(EVTCHNOP_send, evtchn_send{900}); }, -XEN_EINVAL},
    {"close of port 0", [] { return event(EVTCHNOP_close, evtchn_close{0}); }, -XEN_EINVAL},
    {"close of no port", [] { return event(EVTCHNOP_close, evtchn_close{~0u}); }, -XEN_EINVAL},
    {"unmask of no port", [] { return event(EVTCHNOP_unmask, evtchn_unmask{~0u}); }, -XEN_EINVAL},
    {"unmask of a free port", [] { return event(EVTCHNOP_unmask, evtchn_unmask{900}); }, -XEN_EINVAL},
    {"bind_vcpu of no port",
     [] { return event(EVTCHNOP_bind_vcpu, evtchn_bind_vcpu{.port = ~0u, .vcpu = 0}); }, -XEN_EINVAL},
    {"bind_vcpu of a free port",
     [] { return event(EVTCHNOP_bind_vcpu, evtchn_bind_vcpu{.port = 900, .vcpu = 0}); }, -XEN_EINVAL},
    {"bind_vcpu to no vCPU",
     [] { return event(EVTCHNOP_bind_vcpu, evtchn_bind_vcpu{.port = 1, .vcpu = 99}); }, -XEN_ENOENT},
    {"bind_ipi to no vCPU", [] { return event(EVTCHNOP_bind_ipi, evtchn_bind_ipi{.vcpu = 99, .port = 0}); },
     -XEN_ENOENT},
    {"bind_virq of none",
     [] { return event(EVTCHNOP_bind_virq, evtchn_bind_virq{.virq = 24, .vcpu = 0, .port = 0}); },
     -XEN_EINVAL},
    {"bind_virq to no vCPU",
     [] { return event(EVTCHNOP_bind_virq, evtchn_bind_virq{.virq = VIRQ_TIMER, .vcpu = 99, .port = 0}); },
     -XEN_ENOENT},
    {"bind_virq of the machine's, not to vCPU 0",
     [] { return event(EVTCHNOP_bind_virq, evtchn_bind_virq{.virq = VIRQ_CON_RING, .vcpu = 99, .port = 0}); },
     -XEN_EINVAL},
    {"bind_pirq of none",
     [] { return event(EVTCHNOP_bind_pirq, evtchn_bind_pirq{.pirq = ~0u, .flags = 0, .port = 0}); },
     -XEN_EINVAL},
    {"bind_interdomain to no port of the child",
     [] {
         return event(EVTCHNOP_bind_interdomain,
                      evtchn_bind_interdomain{.remote_dom = child_id, .remote_port = ~0u, .local_port = 0});
     },
     -XEN_EINVAL},
    {"status of no port",
     [] {
         return event(EVTCHNOP_status,
                      evtchn_status{.dom = DOMID_SELF, .port = ~0u, .status = 0, .vcpu = 0, .u = {}});
     },
     -XEN_EINVAL},
    {"init_control for no vCPU",
     [] {
         return event(
             EVTCHNOP_init_control,
             evtchn_init_control{.control_gfn = 0, .offset = 0, .vcpu = 99, .link_bits = 0, ._pad = {}});
     },
     -XEN_ENOENT},
    {"init_control across a page's end",
     [] {
         return event(EVTCHNOP_init_control,
                      evtchn_init_control{
                          .control_gfn = 0x1000, .offset = 4090, .vcpu = 0, .link_bits = 0, ._pad = {}});
     },
     -XEN_EINVAL},
    {"init_control where no memory is",
     [] {
         return event(
             EVTCHNOP_init_control,
             evtchn_init_control{.control_gfn = kFarGfn, .offset = 0, .vcpu = 0, .link_bits = 0, ._pad = {}});
     },
     -XEN_EINVAL},
    {"expand_array without FIFO",
     [] { return event(EVTCHNOP_expand_array, evtchn_expand_array{.array_gfn = 0x1000}); }, -XEN_EOPNOTSUPP},
    {"set_priority of no port",
     [] { return event(EVTCHNOP_set_priority, evtchn_set_priority{.port = ~0u, .priority = 0}); },
     -XEN_EINVAL},
    // sched_op
    {"unknown sched_op", [] { return sched(77, u32{0}); }, -XEN_ENOSYS},
    {"remote_shutdown of nobody",
     [] { return sched(SCHEDOP_remote_shutdown, sched_remote_shutdown{.domain_id = kNobody, .reason = 0}); },
     -XEN_ESRCH},
    {"poll of 129 ports",
     [] { return sched(SCHEDOP_poll, sched_poll{.ports = {}, .nr_ports = 129, .timeout = 0}); }, -XEN_EINVAL},
    {"a watchdog that was never set",
     [] { return sched(SCHEDOP_watchdog, sched_watchdog{.id = 1, .timeout = 5}); }, -XEN_EINVAL},
    {"a watchdog with no such id",
     [] { return sched(SCHEDOP_watchdog, sched_watchdog{.id = 99, .timeout = 5}); }, -XEN_EINVAL},
    {"pin_override to no CPU", [] { return sched(SCHEDOP_pin_override, sched_pin_override{.pcpu = 4000}); },
     -XEN_EINVAL},
    // vcpu_op
    {"unknown vcpu_op", [] { return vcpu(77, 0, u32{0}); }, -XEN_ENOSYS},
    {"is_up of no vCPU", [] { return vcpu(VCPUOP_is_up, 99, u32{0}); }, -XEN_ENOENT},
    {"unknown vcpu_op of no vCPU", [] { return vcpu(77, 99, u32{0}); }, -XEN_ENOENT},
    {"register_vcpu_info across a page's end",
     [] {
         return vcpu(VCPUOP_register_vcpu_info, 0,
                     vcpu_register_vcpu_info{.mfn = 0x1000, .offset = 4090, .rsvd = 0});
     },
     -XEN_ENXIO},
    {"register_vcpu_info where no memory is",
     [] {
         return vcpu(VCPUOP_register_vcpu_info, 0,
                     vcpu_register_vcpu_info{.mfn = kFarGfn, .offset = 0, .rsvd = 0});
     },
     -XEN_EINVAL},
    {"a timer in the past, whatever its flags",
     [] {
         return vcpu(VCPUOP_set_singleshot_timer, 0,
                     vcpu_set_singleshot_timer{.timeout_abs_ns = 1, .flags = VCPU_SSHOTTMR_future});
     },
     0},
    // hvm_op
    {"unknown hvm_op", [] { return hvm(77, u32{0}); }, -XEN_ENOSYS},
    {"flush_tlbs with an argument", [] { return hvm(HVMOP_flush_tlbs, u32{0}); }, -XEN_EINVAL},
    {"an upcall vector of an exception",
     [] { return hvm(HVMOP_set_evtchn_upcall_vector, xen_hvm_evtchn_upcall_vector{.vcpu = 0, .vector = 3}); },
     -XEN_EINVAL},
    {"an upcall vector of no vCPU",
     [] {
         return hvm(HVMOP_set_evtchn_upcall_vector, xen_hvm_evtchn_upcall_vector{.vcpu = 99, .vector = 64});
     },
     -XEN_ENOENT},
    {"the parameters of nobody", [] { return set_param(kNobody, HVM_PARAM_TIMER_MODE, 1); }, -XEN_ESRCH},
    {"a parameter that never was", [] { return set_param(child_id, 999, 1); }, -XEN_EINVAL},
    {"a parameter that is no longer", [] { return set_param(child_id, HVM_PARAM_NESTEDHVM, 1); },
     -XEN_EINVAL},
    {"a timer mode that is none", [] { return set_param(child_id, HVM_PARAM_TIMER_MODE, 9); }, -XEN_EINVAL},
    {"the toolstack's parameters of itself", [] { return set_param(DOMID_SELF, HVM_PARAM_TIMER_MODE, 1); },
     -XEN_EPERM},
    {"the I/O page", [] { return set_param(child_id, HVM_PARAM_IOREQ_PFN, 5); }, 0},
    {"another I/O page", [] { return set_param(child_id, HVM_PARAM_IOREQ_PFN, 6); }, -XEN_EEXIST},
    // the others
    {"unknown xen_version", [] { return version_op(77, nullptr); }, -XEN_ENOSYS},
    {"features beyond the last",
     [] {
         return with(__HYPERVISOR_xen_version, XENVER_get_features,
                     xen_feature_info{.submap_idx = 1, .submap = 0});
     },
     -XEN_EINVAL},
    {"the size of pages, with an argument",
     [] { return with(__HYPERVISOR_xen_version, XENVER_pagesize, u64{0}); }, -XEN_EINVAL},
    {"unknown vm_assist",
     [] { return hypercall(__HYPERVISOR_vm_assist, 77, VMASST_TYPE_runstate_update_flag); }, -XEN_ENOSYS},
    {"unknown vm_assist of no type", [] { return hypercall(__HYPERVISOR_vm_assist, 77, 77); }, -XEN_EINVAL},
    {"setup_table into nowhere", [] { return grant_frames_into(0x0000'7000'0000'0000); },
     GNTST_bad_virt_addr},
    {"vm_assist of no kind", [] { return hypercall(__HYPERVISOR_vm_assist, VMASST_CMD_enable, 77); },
     -XEN_EINVAL},
    {"vm_assist with no command",
     [] { return hypercall(__HYPERVISOR_vm_assist, 77, VMASST_TYPE_runstate_update_flag); }, -XEN_ENOSYS},
    {"unknown console_io", [] { return hypercall(__HYPERVISOR_console_io, 77, 0, 0); }, -XEN_ENOSYS},
    {"unknown grant_table_op", [] { return grants(77, 1); }, -XEN_ENOSYS},
    {"query_size of none", [] { return grants(GNTTABOP_query_size, 0); }, -XEN_EINVAL},
    {"query_size of two", [] { return grants(GNTTABOP_query_size, 2); }, -XEN_EINVAL},
    {"transfer, which these guests have not", [] { return grants(GNTTABOP_transfer, 1); }, -XEN_ENOSYS},
    {"cache_flush, which these guests have not", [] { return grants(GNTTABOP_cache_flush, 1); }, -XEN_ENOSYS},
    {"unknown physdev_op", [] { return hypercall(__HYPERVISOR_physdev_op, 77, 0); }, -XEN_ENOSYS},
    {"physdev_op map_pirq", [] { return hypercall(__HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq, 0); },
     -XEN_ENOSYS},
    {"firmware_info of a machine without UEFI",
     [] { return platform(XENPF_firmware_info, [](auto& u) { u.firmware_info.type = XEN_FW_EFI_INFO; }); },
     -XEN_ENOSYS},
    {"efi_runtime_call there", [] { return platform(XENPF_efi_runtime_call, [](auto&) {}); }, -XEN_ENOSYS},
    {"unknown platform_op", [] { return platform(777, [](auto&) {}); }, -XEN_ENOSYS},
    {"settime64 with a reserved field",
     [] { return platform(XENPF_settime64, [](auto& u) { u.settime64.mbz = 1; }); }, -XEN_EINVAL},
    {"set_processor_pminfo of capabilities", [] { return processor_capabilities(1, 1); }, 0},
    {"capabilities of another revision", [] { return processor_capabilities(2, 1); }, -XEN_EINVAL},
    {"capabilities without a word", [] { return processor_capabilities(1, 0); }, -XEN_EINVAL},
    {"multicall within multicall",
     [] {
         multicall_entry inner{};
         inner.op     = __HYPERVISOR_multicall;
         const s64 rc = hypercall(__HYPERVISOR_multicall, gpa_of(&inner), 1);
         return rc < 0 ? rc : static_cast<s64>(inner.result);
     },
     -XEN_EINVAL},
    {"xsm_op", [] { return hypercall(__HYPERVISOR_xsm_op, 0); }, -XEN_ENOSYS},
    {"mmu_update", [] { return hypercall(__HYPERVISOR_mmu_update, 0, 0); }, -XEN_ENOSYS},
    {"callback_op", [] { return hypercall(__HYPERVISOR_callback_op, 0, 0); }, -XEN_ENOSYS},
};

} // namespace

void test_main()
{
    NEED(map_shared_info() == 0);
    Child child;
    NEED(child.build());
    child_id = child.id();
    for (const Attempt& attempt : kAttempts) {
        if (const s64 answer = attempt.run(); answer != attempt.answer)
            NOTE(failure, attempt.name, " answers ", answer, ", not ", attempt.answer);
    }
    child.destroy();
}
