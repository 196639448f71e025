// SPDX-License-Identifier: Apache-2.0
//
// XEN_DOMCTL_*: what the control domain does to others. [xen/include/public/domctl.h, version 0x15]
#include "hypercall/domctl.hpp"

#include "domain/domain_table.hpp"
#include "domain/time.hpp"
#include "domain/vcpu.hpp"
#include "exit/guest_memory.hpp"
#include "hypercall/bitmap_argument.hpp"
#include "hypercall/control_lock.hpp"
#include "hypercall/cpu_policy_op.hpp"
#include "hypercall/cpupool_op.hpp"
#include "hypercall/domain_info.hpp"
#include "hypercall/hypercall.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

// Whether the argument structure goes back to the caller.
enum class Copy_back : bool { no, yes };
using Domctl_result = Expected<Copy_back>;

constexpr u32 kMaxPorts        = 131'072;
constexpr u32 kDefaultGrants   = 64;
constexpr u32 kDefaultMaptrack = 1024;

unsigned limit_or(s32 wanted, u32 otherwise) { return wanted < 0 ? otherwise : static_cast<u32>(wanted); }

Domctl_result create_domain(xen_domctl& op)
{
    const auto& config      = op.u.createdomain;
    constexpr u32 must_have = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap;
    constexpr u32 may_have  = must_have | XEN_DOMCTL_CDF_oos_off | XEN_DOMCTL_CDF_xs_domain;
    if ((config.flags & must_have) != must_have || (config.flags & ~may_have) != 0)
        return fail(Errc::einval);
    if (config.arch.emulation_flags != XEN_X86_EMU_LAPIC || config.iommu_opts != 0 ||
        config.vmtrace_size != 0)
        return fail(Errc::einval);
    if (config.grant_opts != XEN_DOMCTL_GRANT_version(1))
        return fail(Errc::einval);
    if (config.max_vcpus == 0 || config.max_vcpus > kMaxVcpus)
        return fail(Errc::einval);
    TRY(can_begin_in(config.cpupool_id));
    Domid id(op.domain);
    if (id == kDom0 || id >= kDomidFirstReserved)
        id = TRY(unused_domid());
    const Domain_identity identity{
        .id = id, .control = false, .identity_mapped = false, .handle = std::to_array(config.handle)};
    const auto domain = TRY(Domain::create(identity, std::min(config.max_evtchn_port, kMaxPorts - 1) + 1,
                                           limit_or(config.max_grant_frames, kDefaultGrants),
                                           limit_or(config.max_maptrack_frames, kDefaultMaptrack)));
    begin_in_pool(*domain, config.cpupool_id);
    domain->set_configured_vcpus(config.max_vcpus);
    op.domain = id.value();
    return Copy_back::yes;
}

Domctl_result max_vcpus(Domain& domain, const xen_domctl& op)
{
    if (op.u.max_vcpus.max != domain.configured_vcpus())
        return fail(Errc::einval);
    if (domain.max_vcpus() == 0)
        TRY(domain.set_max_vcpus(op.u.max_vcpus.max));
    return Copy_back::no;
}

// Guests read the machine's TSC; there is nothing to scale or trap.
constexpr u32 kTscDefault = 0, kTscNeverEmulate = 2;

Domctl_result set_tsc(const xen_domctl_tsc_info& info)
{
    if (info.tsc_mode != kTscDefault && info.tsc_mode != kTscNeverEmulate)
        return fail(Errc::einval);
    return Copy_back::no;
}

Domctl_result get_tsc(xen_domctl_tsc_info& info)
{
    info              = {};
    info.tsc_mode     = kTscDefault;
    info.gtsc_khz     = static_cast<u32>(tsc_info().khz);
    info.elapsed_nsec = system_clock().now().value();
    return Copy_back::yes;
}

// As its counterpart for the weight, 0, is a value for a cap.
constexpr u16 kCapAsItWas = 0xffff;

Domctl_result scheduler_op(Domain& domain, xen_domctl& op)
{
    auto& s     = op.u.scheduler_op;
    auto& group = domain.scheduling();
    if (s.sched_id != scheduler_id(group.kind))
        return fail(Errc::einval);
    if (s.sched_id == XEN_SCHEDULER_NULL)
        return fail(Errc::eopnotsupp);
    if (s.cmd == XEN_DOMCTL_SCHEDOP_getinfo) {
        s.u.credit2 = {static_cast<u16>(group.weight.load()), static_cast<u16>(group.cap.percent())};
        return Copy_back::yes;
    }
    if (s.cmd != XEN_DOMCTL_SCHEDOP_putinfo)
        return fail(Errc::einval);
    if (s.u.credit2.weight != 0)
        group.weight = s.u.credit2.weight;
    if (s.u.credit2.cap != kCapAsItWas)
        group.cap.set_percent(s.u.credit2.cap);
    domain.rearrange_vcpus();
    return Copy_back::no;
}

Domctl_result on_domain(Vcpu& vcpu, Domain& domain, xen_domctl& op)
{
    switch (op.cmd) {
    case XEN_DOMCTL_destroydomain: TRY(domain.kill()); return Copy_back::no;
    case XEN_DOMCTL_pausedomain: TRY(domain.pause_by_control()); return Copy_back::no;
    case XEN_DOMCTL_unpausedomain: TRY(domain.unpause_by_control()); return Copy_back::no;
    case XEN_DOMCTL_resumedomain: domain.resume_after_suspend(); return Copy_back::no;
    case XEN_DOMCTL_getdomaininfo:
        op.u.getdomaininfo = describe_domain(domain);
        op.domain          = domain.id().value();
        return Copy_back::yes;
    case XEN_DOMCTL_max_vcpus: return max_vcpus(domain, op);
    case XEN_DOMCTL_max_mem:
        domain.set_max_frames(op.u.max_mem.max_memkb >> (kPageShift - 10));
        return Copy_back::no;
    case XEN_DOMCTL_setdomainhandle:
        domain.set_handle(std::to_array(op.u.setdomainhandle.handle));
        return Copy_back::no;
    case XEN_DOMCTL_settimeoffset:
        domain.time_offset_seconds = op.u.settimeoffset.time_offset_seconds;
        domain.update_wall_clock();
        return Copy_back::no;
    case XEN_DOMCTL_shadow_op: TRY(shadow_op(vcpu, domain, op.u.shadow_op)); return Copy_back::yes;
    case XEN_DOMCTL_set_paging_mempool_size:
        TRY(set_paging_pool(domain, op.u.paging_mempool.size));
        return Copy_back::no;
    case XEN_DOMCTL_get_paging_mempool_size:
        op.u.paging_mempool.size = domain.p2m().table_limit() * kPageSize;
        return Copy_back::yes;
    case XEN_DOMCTL_settscinfo: return set_tsc(op.u.tsc_info);
    case XEN_DOMCTL_gettscinfo: return get_tsc(op.u.tsc_info);
    case XEN_DOMCTL_scheduler_op: return scheduler_op(domain, op);
    case XEN_DOMCTL_gethvmcontext: TRY(get_hvm_context(vcpu, domain, op.u.hvmcontext)); return Copy_back::yes;
    case XEN_DOMCTL_gethvmcontext_partial:
        TRY(get_hvm_record(vcpu, domain, op.u.hvmcontext_partial));
        return Copy_back::yes;
    case XEN_DOMCTL_sethvmcontext: TRY(set_hvm_context(vcpu, domain, op.u.hvmcontext)); return Copy_back::no;
    case XEN_DOMCTL_getvcpuinfo: TRY(get_vcpu_info(domain, op.u.getvcpuinfo)); return Copy_back::yes;
    case XEN_DOMCTL_setvcpuaffinity:
        TRY(set_vcpu_affinity(vcpu, domain, op.u.vcpuaffinity));
        return Copy_back::yes;
    case XEN_DOMCTL_getvcpuaffinity:
        TRY(get_vcpu_affinity(vcpu, domain, op.u.vcpuaffinity));
        return Copy_back::yes;
    case XEN_DOMCTL_setnodeaffinity:
        return TRY(read_bitmap(vcpu, op.u.nodeaffinity.nodemap)) & 1 ? Domctl_result(Copy_back::no)
                                                                     : fail(Errc::einval);
    case XEN_DOMCTL_getnodeaffinity:
        TRY(write_bitmap(vcpu, op.u.nodeaffinity.nodemap, 1));
        return Copy_back::no;
    case XEN_DOMCTL_get_cpu_policy: TRY(get_cpu_policy(vcpu, domain, op.u.cpu_policy)); return Copy_back::yes;
    case XEN_DOMCTL_set_cpu_policy: TRY(set_cpu_policy(vcpu, domain, op.u.cpu_policy)); return Copy_back::no;
    case XEN_DOMCTL_sendtrigger: TRY(send_trigger(domain, op.u.sendtrigger)); return Copy_back::no;
    default: return fail(Errc::enosys);
    }
}

// Nobody can stop itself, and what stops a domain to look at it is not done to oneself.
bool is_for_others_only(u32 command)
{
    switch (command) {
    case XEN_DOMCTL_destroydomain:
    case XEN_DOMCTL_pausedomain:
    case XEN_DOMCTL_resumedomain:
    case XEN_DOMCTL_max_vcpus:
    case XEN_DOMCTL_settscinfo:
    case XEN_DOMCTL_gettscinfo:
    case XEN_DOMCTL_gethvmcontext:
    case XEN_DOMCTL_gethvmcontext_partial:
    case XEN_DOMCTL_sethvmcontext:
    case XEN_DOMCTL_set_cpu_policy: return true;
    default: return false;
    }
}

// Null for createdomain, whose domain is not there yet. Getdomaininfo tells of the first domain from the id
// on, so that tools can find all of them.
Expected<Ref<Domain>> domain_named(const xen_domctl& op)
{
    if (op.cmd == XEN_DOMCTL_createdomain)
        return Ref<Domain>();
    const bool or_next = op.cmd == XEN_DOMCTL_getdomaininfo;
    const Domid id(op.domain);
    if (or_next && id >= kDomidFirstReserved)
        return fail(Errc::einval);
    auto domain = or_next ? next_domain(id) : find_domain(id);
    if (!domain)
        return fail(Errc::esrch);
    return domain;
}

// Whether there is such a domain is told even to those who may do nothing to it.
Domctl_result perform(Vcpu& vcpu, xen_domctl& op)
{
    const auto domain = TRY(domain_named(op));
    if (!vcpu.domain().is_control())
        return fail(Errc::eperm);
    const Lock_guard one_at_a_time(control_lock);
    if (!domain)
        return create_domain(op);
    if (domain.get() == &vcpu.domain() && is_for_others_only(op.cmd))
        return fail(Errc::einval);
    return on_domain(vcpu, *domain, op);
}

} // namespace

Hypercall_result do_domctl(Vcpu& vcpu, Hypercall_args& args)
{
    const Gva arg(args.a[0]);
    auto op = TRY(read_guest<xen_domctl>(vcpu, arg));
    if (op.interface_version != XEN_DOMCTL_INTERFACE_VERSION)
        return fail(Errc::eacces);
    const auto done = perform(vcpu, op);
    // A policy that is not accepted comes back with the place of its fault.
    if (done ? *done == Copy_back::yes : op.cmd == XEN_DOMCTL_set_cpu_policy)
        TRY(write_guest(vcpu, arg, op));
    return done ? Hypercall_result(0) : fail(done.error());
}

} // namespace vmm
