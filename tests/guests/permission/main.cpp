// SPDX-License-Identifier: Apache-2.0
//
// What a domain without rights is told, hypercall by hypercall.
//
// The child tries everything that controls a machine or another domain: domctl, sysctl and platform
// operations, another domain's memory (populate, decrease, foreign mapping, acquire_resource), parameters,
// event channels and grant table; it names dom0, itself and a domain that does not exist. It is refused as
// Xen refuses: -EPERM (or -EACCES) where the right is missing, -ESRCH where there is no such domain, -ENOSYS
// for numbers nobody has, and "<denied>" instead of the hypervisor's command line. Nothing of it has an
// effect, and the child lives on to tell its results.
//
// The table with the expected answers is one object of the image, so both domains have it.
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/child.hpp"
#include "lib/verdict.hpp"

#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/sysctl.h>

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "permission";

namespace
{

s64 run_domctl(u32 command, domid_t domain)
{
    xen_domctl op{};
    return domctl(op, command, domain);
}

s64 run_sysctl(u32 command)
{
    xen_sysctl op{};
    op.cmd               = command;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return hypercall(__HYPERVISOR_sysctl, gpa_of(&op));
}

s64 run_platform(u32 command)
{
    xen_platform_op op{};
    op.cmd               = command;
    op.interface_version = XENPF_INTERFACE_VERSION;
    return hypercall(__HYPERVISOR_platform_op, gpa_of(&op));
}

// An interface version this hypervisor does not speak.
s64 of_version_1(u64 number)
{
    union {
        xen_domctl domain;
        xen_sysctl system;
        xen_platform_op platform;
    } op{};
    op.domain.interface_version = 1;
    return hypercall(number, gpa_of(&op));
}

s64 claim(domid_t domain)
{
    xen_memory_reservation r{};
    r.nr_extents = 1;
    r.domid      = domain;
    return memory_op(XENMEM_claim_pages, &r);
}

s64 set_map(domid_t domain)
{
    xen_foreign_memory_map op{};
    op.domid = domain;
    return memory_op(XENMEM_set_memory_map, &op);
}

s64 pod(u32 command, domid_t domain)
{
    xen_pod_target op{};
    op.domid = domain;
    return memory_op(command, &op);
}

s64 remove_from(domid_t domain)
{
    xen_remove_from_physmap op{.domid = domain, .gpfn = 0x70000};
    return memory_op(XENMEM_remove_from_physmap, &op);
}

template <class Op>
s64 event_op(u32 command, Op op)
{
    return hypercall(__HYPERVISOR_event_channel_op, command, gpa_of(&op));
}

s64 memory_type_of(domid_t domain)
{
    xen_hvm_get_mem_type op{};
    op.domid = domain;
    return hypercall(__HYPERVISOR_hvm_op, HVMOP_get_mem_type, gpa_of(&op));
}

s64 write_console(u64 command)
{
    char text = '\n';
    return hypercall(__HYPERVISOR_console_io, command, 1, gpa_of(&text));
}

s64 reservation(u32 command, domid_t domain)
{
    xen_pfn_t gfn = 0x1000;
    xen_memory_reservation r{};
    set_xen_guest_handle(r.extent_start, &gfn);
    r.nr_extents = 1;
    r.domid      = domain;
    return memory_op(command, &r);
}

s64 domain_op(u32 command, domid_t domain) { return memory_op(command, &domain); }

s64 foreign_page(domid_t domain)
{
    const s64 rc = map_foreign(domain, 0x1000, 1, window(1));
    return rc;
}

s64 add_to_physmap_of(domid_t domain)
{
    xen_add_to_physmap op{};
    op.domid = domain;
    op.space = XENMAPSPACE_shared_info;
    op.gpfn  = 0x70000;
    return memory_op(XENMEM_add_to_physmap, &op);
}

s64 acquire(domid_t domain)
{
    xen_pfn_t frame = 0x70000;
    xen_mem_acquire_resource op{};
    op.domid     = domain;
    op.type      = XENMEM_resource_grant_table;
    op.nr_frames = 1;
    set_xen_guest_handle(op.frame_list, &frame);
    return memory_op(XENMEM_acquire_resource, &op);
}

s64 param_of(domid_t domain, u32 index)
{
    u64 value = 0;
    return get_param(domain, index, value);
}

s64 remote_shutdown(domid_t domain)
{
    sched_remote_shutdown op{.domain_id = domain, .reason = SHUTDOWN_poweroff};
    return sched_op(SCHEDOP_remote_shutdown, &op);
}

s64 table_size_of(domid_t domain)
{
    gnttab_query_size op{.dom = domain, .nr_frames = 0, .max_nr_frames = 0, .status = 0};
    const s64 rc = grant_op(GNTTABOP_query_size, &op, 1);
    return rc < 0 ? rc : op.status;
}

s64 pci_device_add()
{
    physdev_pci_device_add op{};
    return hypercall(__HYPERVISOR_physdev_op, PHYSDEVOP_pci_device_add, gpa_of(&op));
}

s64 command_line_is_hidden()
{
    char text[1024]   = "";
    const s64 rc      = version_op(XENVER_commandline, text);
    const bool denied = std::string_view(text) == "<denied>";
    return rc < 0 ? rc : denied;
}

constexpr domid_t kNobody = 0x7000;
constexpr u64 kHole       = 0x0000'7000'0000'0000; // no page tables there

struct Attempt {
    const char* name;
    s64 (*run)();
    s64 answer;
};

const Attempt kAttempts[] = {
    {"domctl getdomaininfo of dom0", [] { return run_domctl(XEN_DOMCTL_getdomaininfo, 0); }, -XEN_EPERM},
    {"domctl pausedomain of dom0", [] { return run_domctl(XEN_DOMCTL_pausedomain, 0); }, -XEN_EPERM},
    {"domctl destroydomain of dom0", [] { return run_domctl(XEN_DOMCTL_destroydomain, 0); }, -XEN_EPERM},
    {"domctl createdomain", [] { return run_domctl(XEN_DOMCTL_createdomain, 0); }, -XEN_EPERM},
    {"domctl pausedomain of nobody", [] { return run_domctl(XEN_DOMCTL_pausedomain, kNobody); }, -XEN_ESRCH},
    {"domctl pausedomain of DOMID_SELF", [] { return run_domctl(XEN_DOMCTL_pausedomain, DOMID_SELF); },
     -XEN_ESRCH},
    {"domctl getdomaininfo from nobody on", [] { return run_domctl(XEN_DOMCTL_getdomaininfo, kNobody); },
     -XEN_ESRCH},
    {"domctl getdomaininfo of itself",
     [] { return run_domctl(XEN_DOMCTL_getdomaininfo, my_mailbox().child); }, -XEN_EPERM},
    {"domctl set_cpu_policy of itself",
     [] { return run_domctl(XEN_DOMCTL_set_cpu_policy, my_mailbox().child); }, -XEN_EPERM},
    {"unknown domctl of itself", [] { return run_domctl(9999, my_mailbox().child); }, -XEN_EPERM},
    {"domctl of another version", [] { return of_version_1(__HYPERVISOR_domctl); }, -XEN_EACCES},
    {"sysctl of another version", [] { return of_version_1(__HYPERVISOR_sysctl); }, -XEN_EACCES},
    {"platform_op of another version", [] { return of_version_1(__HYPERVISOR_platform_op); }, -XEN_EACCES},
    {"domctl at a bad address", [] { return hypercall(__HYPERVISOR_domctl, kHole); }, -XEN_EFAULT},
    {"sysctl at a bad address", [] { return hypercall(__HYPERVISOR_sysctl, kHole); }, -XEN_EFAULT},
    {"platform_op at a bad address", [] { return hypercall(__HYPERVISOR_platform_op, kHole); }, -XEN_EFAULT},
    {"domctl max_mem of itself", [] { return run_domctl(XEN_DOMCTL_max_mem, my_mailbox().child); },
     -XEN_EPERM},
    {"sysctl physinfo", [] { return run_sysctl(XEN_SYSCTL_physinfo); }, -XEN_EPERM},
    {"sysctl readconsole", [] { return run_sysctl(XEN_SYSCTL_readconsole); }, -XEN_EPERM},
    {"platform_op settime64", [] { return run_platform(XENPF_settime64); }, -XEN_EPERM},
    {"platform_op get_cpuinfo", [] { return run_platform(XENPF_get_cpuinfo); }, -XEN_EPERM},
    {"platform_op firmware_info", [] { return run_platform(XENPF_firmware_info); }, -XEN_EPERM},
    {"platform_op efi_runtime_call", [] { return run_platform(XENPF_efi_runtime_call); }, -XEN_EPERM},
    {"platform_op set_processor_pminfo", [] { return run_platform(XENPF_set_processor_pminfo); }, -XEN_EPERM},
    {"current_reservation of dom0", [] { return domain_op(XENMEM_current_reservation, 0); }, -XEN_EPERM},
    {"current_reservation of nobody", [] { return domain_op(XENMEM_current_reservation, kNobody); },
     -XEN_ESRCH},
    {"maximum_gpfn of dom0", [] { return domain_op(XENMEM_maximum_gpfn, 0); }, -XEN_EPERM},
    {"populate_physmap of dom0", [] { return reservation(XENMEM_populate_physmap, 0); }, 0},
    {"decrease_reservation of dom0", [] { return reservation(XENMEM_decrease_reservation, 0); }, 0},
    {"maximum_reservation of itself",
     [] { return domain_op(XENMEM_maximum_reservation, DOMID_SELF) > 0 ? s64{1} : s64{0}; }, 1},
    {"claim_pages of itself", [] { return claim(my_mailbox().child); }, -XEN_EPERM},
    {"claim_pages of nobody", [] { return claim(kNobody); }, -XEN_EINVAL},
    {"claim_pages of DOMID_SELF", [] { return claim(DOMID_SELF); }, -XEN_EINVAL},
    {"set_memory_map of itself", [] { return set_map(DOMID_SELF); }, 0},
    {"set_memory_map of dom0", [] { return set_map(0); }, -XEN_EPERM},
    {"set_memory_map of nobody", [] { return set_map(kNobody); }, -XEN_ESRCH},
    {"set_pod_target of itself", [] { return pod(XENMEM_set_pod_target, DOMID_SELF); }, -XEN_EPERM},
    {"get_pod_target of dom0", [] { return pod(XENMEM_get_pod_target, 0); }, -XEN_EPERM},
    {"get_pod_target of nobody", [] { return pod(XENMEM_get_pod_target, kNobody); }, -XEN_ESRCH},
    {"remove_from_physmap of dom0", [] { return remove_from(0); }, -XEN_EPERM},
    {"remove_from_physmap of nobody", [] { return remove_from(kNobody); }, -XEN_ESRCH},
    {"add_to_physmap of nobody", [] { return add_to_physmap_of(kNobody); }, -XEN_ESRCH},
    {"maximum_ram_page", [] { return memory_op(XENMEM_maximum_ram_page, nullptr) > 0 ? s64{1} : s64{0}; }, 1},
    {"alloc_unbound of dom0",
     [] {
         return event_op(EVTCHNOP_alloc_unbound, evtchn_alloc_unbound{.dom = 0, .remote_dom = 0, .port = 0});
     },
     -XEN_EPERM},
    {"alloc_unbound of nobody",
     [] {
         return event_op(EVTCHNOP_alloc_unbound,
                         evtchn_alloc_unbound{.dom = kNobody, .remote_dom = 0, .port = 0});
     },
     -XEN_ESRCH},
    {"bind_interdomain to dom0, unbound for others",
     [] {
         return event_op(EVTCHNOP_bind_interdomain,
                         evtchn_bind_interdomain{.remote_dom = 0, .remote_port = 1, .local_port = 0});
     },
     -XEN_EINVAL},
    {"bind_interdomain to nobody",
     [] {
         return event_op(EVTCHNOP_bind_interdomain,
                         evtchn_bind_interdomain{.remote_dom = kNobody, .remote_port = 1, .local_port = 0});
     },
     -XEN_ESRCH},
    {"status of dom0's port",
     [] {
         return event_op(EVTCHNOP_status,
                         evtchn_status{.dom = 0, .port = 1, .status = 0, .vcpu = 0, .u = {}});
     },
     -XEN_EPERM},
    {"status of a port no table has, of dom0",
     [] {
         return event_op(EVTCHNOP_status,
                         evtchn_status{.dom = 0, .port = ~0u, .status = 0, .vcpu = 0, .u = {}});
     },
     -XEN_EINVAL},
    {"reset of dom0", [] { return event_op(EVTCHNOP_reset, evtchn_reset{.dom = 0}); }, -XEN_EPERM},
    {"reset of nobody", [] { return event_op(EVTCHNOP_reset, evtchn_reset{.dom = kNobody}); }, -XEN_ESRCH},
    {"bind_virq of none",
     [] { return event_op(EVTCHNOP_bind_virq, evtchn_bind_virq{.virq = 99, .vcpu = 0, .port = 0}); },
     -XEN_EINVAL},
    {"get_mem_type of dom0", [] { return memory_type_of(0); }, -XEN_EPERM},
    {"get_mem_type of nobody", [] { return memory_type_of(kNobody); }, -XEN_ESRCH},
    {"console_io read", [] { return write_console(CONSOLEIO_read); }, -XEN_EPERM},
    {"unknown console_io", [] { return write_console(7); }, -XEN_EPERM},
    {"set own timer mode", [] { return set_param(DOMID_SELF, HVM_PARAM_TIMER_MODE, 1); }, -XEN_EPERM},
    {"set a parameter that is no longer", [] { return set_param(DOMID_SELF, HVM_PARAM_DM_DOMAIN, 1); },
     -XEN_EINVAL},
    {"get a parameter that is no longer", [] { return param_of(DOMID_SELF, HVM_PARAM_DM_DOMAIN); },
     -XEN_EINVAL},
    {"get own timer mode", [] { return param_of(DOMID_SELF, HVM_PARAM_TIMER_MODE); }, -XEN_EPERM},
    {"get a parameter that never was", [] { return param_of(kNobody, 999); }, -XEN_EINVAL},
    {"set own store port", [] { return set_param(DOMID_SELF, HVM_PARAM_STORE_EVTCHN, 5); }, 0},
    {"set own store port once more", [] { return set_param(DOMID_SELF, HVM_PARAM_STORE_EVTCHN, 6); }, 0},
    {"foreign page of dom0", [] { return foreign_page(0); }, -XEN_EPERM},
    {"foreign page of nobody", [] { return foreign_page(kNobody); }, -XEN_EPERM},
    {"add_to_physmap of dom0", [] { return add_to_physmap_of(0); }, -XEN_EPERM},
    {"acquire_resource of dom0", [] { return acquire(0); }, -XEN_EACCES},
    {"get_param of dom0", [] { return param_of(0, HVM_PARAM_STORE_PFN); }, -XEN_EPERM},
    {"set_param of dom0", [] { return set_param(0, HVM_PARAM_STORE_PFN, 1); }, -XEN_EPERM},
    {"get_param of nobody", [] { return param_of(kNobody, HVM_PARAM_STORE_PFN); }, -XEN_ESRCH},
    {"set own store page", [] { return set_param(DOMID_SELF, HVM_PARAM_STORE_PFN, 1); }, -XEN_EPERM},
    {"remote_shutdown of dom0", [] { return remote_shutdown(0); }, -XEN_EPERM},
    {"query_size of dom0", [] { return table_size_of(0); }, GNTST_permission_denied},
    {"query_size of nobody", [] { return table_size_of(kNobody); }, GNTST_bad_domain},
    {"pci_device_add", [] { return pci_device_add(); }, -XEN_ENOSYS},
    {"command line", command_line_is_hidden, 1},
    {"build id", [] { return version_op(XENVER_build_id, nullptr); }, -XEN_EPERM},
    {"hypercall 63", [] { return hypercall(63); }, -XEN_ENOSYS},
    {"hypercall 2^32", [] { return hypercall(1ull << 32 | __HYPERVISOR_xen_version); }, -XEN_ENOSYS},
    {"set_trap_table", [] { return hypercall(__HYPERVISOR_set_trap_table, 0); }, -XEN_ENOSYS},
};
constexpr u32 kCount = sizeof kAttempts / sizeof kAttempts[0];

} // namespace

void child_main()
{
    auto* answers = my_shared_page(1).as<volatile s64>();
    for (u32 i = 0; i < kCount; ++i) {
        answers[i]         = kAttempts[i].run();
        my_mailbox().stage = i + 1;
    }
    for (;;)
        sched_op(SCHEDOP_yield, nullptr);
}

void test_main()
{
    NEED(map_shared_info() == 0);
    Child child;
    NEED(child.build());
    NEED(child.unpause() == 0);
    const bool all = child.wait_for_stage(kCount);
    if (!all)
        NOTE(failure, "the child ended in '", kAttempts[child.mailbox().stage].name, "'");
    const auto* answers = child.shared_page(1).as<volatile s64>();
    for (u32 i = 0; i < child.mailbox().stage; ++i) {
        if (answers[i] != kAttempts[i].answer)
            NOTE(failure, kAttempts[i].name, " answers ", answers[i], ", not ", kAttempts[i].answer);
    }
    child.destroy();
}
