// SPDX-License-Identifier: Apache-2.0
//
// Physical CPUs taken offline and back, and what that answers; this domain's vCPUs go on on those that are
// left, wherever they are bound to, and return. [xen/include/public/sysctl.h, platform.h]
#include "guest/clock.hpp"
#include "guest/cpu.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "guest/processors.hpp"
#include "lib/verdict.hpp"

#include <atomic>

#include <xen/platform.h>
#include <xen/sysctl.h>

using namespace vmm::guest;

const char* const kTestName = "cpu_hotplug";

namespace
{

constexpr u64 kPatience = 20'000'000'000;

std::atomic<u64> counts[kMaxProcessors];

s64 hotplug(u32 command, u32 cpu)
{
    static xen_sysctl op;
    op                   = {};
    op.cmd               = XEN_SYSCTL_cpu_hotplug;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    op.u.cpu_hotplug.cpu = cpu;
    op.u.cpu_hotplug.op  = command;
    return hypercall(__HYPERVISOR_sysctl, gpa_of(&op));
}
s64 offline(u32 cpu) { return hotplug(XEN_SYSCTL_CPU_HOTPLUG_OFFLINE, cpu); }
s64 online(u32 cpu) { return hotplug(XEN_SYSCTL_CPU_HOTPLUG_ONLINE, cpu); }

u32 online_cpus()
{
    static xen_sysctl op;
    op                   = {};
    op.cmd               = XEN_SYSCTL_physinfo;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    NEED(hypercall(__HYPERVISOR_sysctl, gpa_of(&op)) == 0);
    return op.u.physinfo.nr_cpus;
}

u32 flags_of(u32 cpu)
{
    static xen_platform_op op;
    op                       = {};
    op.cmd                   = XENPF_get_cpuinfo;
    op.interface_version     = XENPF_INTERFACE_VERSION;
    op.u.pcpu_info.xen_cpuid = cpu;
    NEED(hypercall(__HYPERVISOR_platform_op, gpa_of(&op)) == 0);
    return op.u.pcpu_info.flags;
}

s64 by_kernel(u32 command, u32 cpu)
{
    static xen_platform_op op;
    op                   = {};
    op.cmd               = command;
    op.interface_version = XENPF_INTERFACE_VERSION;
    op.u.cpu_ol.cpuid    = cpu;
    return hypercall(__HYPERVISOR_platform_op, gpa_of(&op));
}

void counter()
{
    for (;;) {
        ++counts[this_processor()];
        vmm::guest::pause();
    }
}

void all_go_on(u32 processors)
{
    for (u32 vcpu = 1; vcpu < processors; ++vcpu) {
        const u64 before   = counts[vcpu];
        const u64 deadline = system_time() + kPatience;
        while (counts[vcpu] < before + 10 && system_time() < deadline)
            sched_op(SCHEDOP_yield, nullptr);
        CHECK(counts[vcpu] >= before + 10);
    }
}

} // namespace

void test_main()
{
    NEED(map_shared_info() == 0);
    const u32 cpus = online_cpus();
    CHECK_EQUAL(offline(0), -XEN_EINVAL);
    CHECK_EQUAL(online(0), -XEN_EEXIST);
    CHECK_EQUAL(offline(cpus), -XEN_EINVAL);
    CHECK_EQUAL(online(cpus), -XEN_EINVAL);
    CHECK_EQUAL(hotplug(99, 0), -XEN_EOPNOTSUPP);
    CHECK_EQUAL(by_kernel(XENPF_cpu_offline, 0), -XEN_EOPNOTSUPP);
    if (cpus == 1)
        return;
    u32 processors = 1;
    for (; processors < kMaxProcessors && vcpu_op(VCPUOP_is_up, processors, nullptr) >= 0; ++processors)
        NEED(start_processor(processors, counter));

    for (u32 cpu = 1; cpu < cpus; ++cpu) {
        CHECK_EQUAL(offline(cpu), 0);
        CHECK_EQUAL(offline(cpu), -XEN_EEXIST);
        CHECK_EQUAL(online_cpus(), cpus - cpu);
        CHECK_EQUAL(flags_of(cpu), 0);
        all_go_on(processors);
    }
    for (u32 cpu = 1; cpu < cpus; ++cpu) {
        CHECK_EQUAL(by_kernel(XENPF_cpu_online, cpu), 0);
        CHECK_EQUAL(by_kernel(XENPF_cpu_online, cpu), -XEN_EEXIST);
        CHECK_EQUAL(flags_of(cpu), XEN_PCPU_FLAGS_ONLINE);
        all_go_on(processors);
    }
    for (u32 round = 0; round < 50; ++round) { // faster than the CPU notices
        CHECK_EQUAL(offline(1), 0);
        CHECK_EQUAL(online(1), 0);
    }
    all_go_on(processors);
}
