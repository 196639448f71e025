// SPDX-License-Identifier: Apache-2.0
#include "hypercall/domain_info.hpp"

#include "domain/time.hpp"
#include "domain/vcpu.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

struct Activity {
    u32 online      = 0;
    u64 cpu_time    = 0;
    bool running    = false;
    bool all_asleep = true;
};

Activity activity_of(const Domain& domain)
{
    Activity a;
    for (unsigned i = 0; i < domain.max_vcpus(); ++i) {
        const Vcpu& vcpu = *domain.vcpu(i);
        if (!vcpu.is_up())
            continue;
        const auto state = vcpu.runstate.snapshot(system_clock().now());
        ++a.online;
        a.cpu_time += state.time[RUNSTATE_running];
        a.running |= state.state == RUNSTATE_running;
        a.all_asleep &= vcpu.blocked;
    }
    return a;
}

} // namespace

xen_domctl_getdomaininfo describe_domain(Domain& domain)
{
    const Activity activity = activity_of(domain);
    xen_domctl_getdomaininfo info{};
    info.domain            = domain.id().value();
    info.nr_online_vcpus   = activity.online;
    info.max_vcpu_id       = domain.max_vcpus() ? domain.max_vcpus() - 1 : XEN_INVALID_MAX_VCPU_ID;
    info.cpu_time          = activity.cpu_time;
    // What is in common with other domains is told apart, as Xen tells it.
    info.shr_pages         = domain.memory().shared();
    info.tot_pages         = domain.owned_frames() - info.shr_pages;
    info.max_pages         = domain.max_frames();
    info.outstanding_pages = domain.claimed_frames();
    info.cpupool           = domain.scheduling().pool;
    info.shared_info_frame = domain.shared_mfn().value();
    info.flags =
        XEN_DOMINF_hvm_guest | XEN_DOMINF_hap | (domain.dying() != Dying::no ? XEN_DOMINF_dying : 0) |
        (domain.is_shut_down() ? XEN_DOMINF_shutdown : 0) |
        (domain.paused_by_control() ? XEN_DOMINF_paused : 0) |
        (activity.all_asleep ? XEN_DOMINF_blocked : 0) | (activity.running ? XEN_DOMINF_running : 0) |
        (u32{domain.shutdown_reason()} << XEN_DOMINF_shutdownshift);
    std::copy(domain.handle().begin(), domain.handle().end(), info.handle);
    info.arch_config.emulation_flags =
        XEN_X86_EMU_LAPIC | (domain.devices() ? XEN_X86_EMU_VPCI | XEN_X86_EMU_IOAPIC : 0);
    return info;
}

} // namespace vmm
