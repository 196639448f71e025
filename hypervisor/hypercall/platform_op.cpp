// SPDX-License-Identifier: Apache-2.0
//
// XENPF_*: what dom0's kernel tells the hypervisor about the machine, and asks. dom0 reaches ACPI, a BIOS and
// the CPUs' power management itself, so little is left. [xen/include/public/platform.h]
#include "domain/domain_table.hpp"
#include "domain/time.hpp"
#include "domain/vcpu.hpp"
#include "exit/guest_memory.hpp"
#include "hypercall/argument.hpp"
#include "hypercall/control_lock.hpp"
#include "hypercall/cpu_hotplug.hpp"
#include "hypercall/efi_op.hpp"
#include "hypercall/hypercall.hpp"
#include "platform/screen.hpp"
#include "sched/scheduler.hpp"

#include <xen/platform.h>

namespace vmm
{
namespace
{

// dom0 set the clock: everybody's wall clock follows.
Expected<void> set_time(const xenpf_settime64& time)
{
    if (time.mbz != 0 || time.nsecs >= kSecond)
        return fail(Errc::einval);
    set_wall_clock_at_zero(time.secs * kSecond + time.nsecs - time.system_time);
    for (auto d = next_domain(Domid(0)); d; d = next_domain(Domid(static_cast<u16>(d->id().value() + 1))))
        d->update_wall_clock();
    return {};
}

Expected<void> describe_cpu(xenpf_pcpuinfo& info)
{
    info.max_present = cpu_count() - 1;
    if (info.xen_cpuid >= cpu_count()) {
        info.flags = XEN_PCPU_FLAGS_INVALID;
        return {};
    }
    const Physical_cpu& cpu = known_cpus.list[info.xen_cpuid];
    info.apic_id            = cpu.apic_id;
    info.acpi_id            = cpu.acpi_id;
    info.flags              = is_online(info.xen_cpuid) ? XEN_PCPU_FLAGS_ONLINE : 0;
    return {};
}

// Which of a processor's power states dom0's kernel may tell the firmware that it drives: the argument of
// _PDC, a revision, a number of words, and the first of them. The hypervisor drives none itself, so what the
// kernel says stands as it is. [ACPI 8.4.1, _PDC]
Expected<void> check_processor_capabilities(Vcpu& vcpu, const xenpf_set_processor_pminfo& info)
{
    struct Capabilities {
        u32 revision;
        u32 count;
        u32 bits;
    };
    if (info.type != XEN_PM_PDC)
        return fail(Errc::enosys);
    const auto asked = TRY(read_guest<Capabilities>(vcpu, address_of(info.u.pdc)));
    if (asked.revision != 1 || asked.count == 0)
        return fail(Errc::einval);
    return {};
}

// XENPF_get_dom0_console of Xen 4.17.1, which the 4.17.0 headers do not have yet: the answer is in the
// union, its size the result.
constexpr u32 kGetDom0Console = 64;

Hypercall_result describe_console(Vcpu& vcpu, Gva op)
{
    const auto screen = give_screen_to_dom0();
    if (!screen)
        return fail(Errc::enodev);
    TRY(write_guest(vcpu, op + offsetof(xen_platform_op, u), *screen));
    return sizeof *screen;
}

} // namespace

Hypercall_result do_platform_op(Vcpu& vcpu, Hypercall_args& args)
{
    const Gva arg(args.a[0]);
    auto op = TRY(read_guest<xen_platform_op>(vcpu, arg));
    if (op.interface_version != XENPF_INTERFACE_VERSION)
        return fail(Errc::eacces);
    if (!vcpu.domain().is_control())
        return fail(Errc::eperm);
    const Lock_guard one_at_a_time(control_lock);
    switch (op.cmd) {
    case XENPF_settime64: TRY(set_time(op.u.settime64)); return 0;
    case XENPF_get_cpuinfo:
        TRY(describe_cpu(op.u.pcpu_info));
        TRY(write_guest(vcpu, arg, op));
        return 0;
    case XENPF_cpu_online: TRY(bring_cpu_online(op.u.cpu_ol.cpuid)); return 0;
    case XENPF_cpu_offline:
        if (op.u.cpu_ol.cpuid == 0)
            return fail(Errc::eopnotsupp);
        TRY(take_cpu_offline(op.u.cpu_ol.cpuid));
        return 0;
    case XENPF_firmware_info:
        TRY(describe_firmware(vcpu, op.u.firmware_info));
        TRY(write_guest(vcpu, arg, op));
        return 0;
    case XENPF_efi_runtime_call:
        TRY(call_efi_service(vcpu, op.u.efi_runtime_call));
        TRY(write_guest(vcpu, arg, op));
        return 0;
    case XENPF_set_processor_pminfo: TRY(check_processor_capabilities(vcpu, op.u.set_pminfo)); return 0;
    case kGetDom0Console: return describe_console(vcpu, arg);
    default: return fail(Errc::enosys);
    }
}

} // namespace vmm
