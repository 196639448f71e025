// SPDX-License-Identifier: Apache-2.0
#include "toolstack/xen/xen_control.hpp"

#include "toolstack/xen/refusal.hpp"

#include <xen/sched.h>

#include <algorithm>
#include <cstring>

namespace vmm
{

namespace
{

// A hypervisor may answer "come again" for long work; both errors mean that nothing is lost by repeating the
// call.
bool is_to_be_repeated(Errc code) { return code == Errc::again || code == Errc::interrupted; }

Domain_info to_info(const xen_domctl_getdomaininfo& from)
{
    Domain_info info;
    info.id = Domid{from.domain};
    std::copy(std::begin(from.handle), std::end(from.handle), info.uuid.begin());
    info.dying   = (from.flags & XEN_DOMINF_dying) != 0;
    info.paused  = (from.flags & XEN_DOMINF_paused) != 0;
    info.blocked = (from.flags & XEN_DOMINF_blocked) != 0;
    info.running = (from.flags & XEN_DOMINF_running) != 0;
    if ((from.flags & XEN_DOMINF_shutdown) != 0) {
        info.shutdown = Shutdown_reason((from.flags >> XEN_DOMINF_shutdownshift) & XEN_DOMINF_shutdownmask);
    }
    info.shared_kib     = from.shr_pages * (kPageSize / 1024);
    info.memory_kib     = from.tot_pages * (kPageSize / 1024) + info.shared_kib;
    // "Unlimited" is stored as all ones; shifting it would wrap.
    info.max_memory_kib = std::min<std::uint64_t>(from.max_pages, UINT64_MAX >> 12) * (kPageSize / 1024);
    info.cpu_time       = from.cpu_time;
    info.online_vcpus   = from.nr_online_vcpus;
    info.pool           = from.cpupool;
    info.max_vcpus      = from.max_vcpu_id == XEN_INVALID_MAX_VCPU_ID ? 0 : from.max_vcpu_id + 1;
    return info;
}

constexpr unsigned kEvent_channels = 1023; // as Xen's tools give

std::int32_t limit_of(std::optional<unsigned> wanted)
{
    return wanted ? static_cast<std::int32_t>(*wanted) : -1; // the hypervisor's default
}

std::unexpected<Error> refused_to_create(const Error& from_call, const Domain_shape& shape)
{
    auto told = refusal(from_call, "create a domain", std::nullopt);
    if (from_call.code == Errc::invalid && (shape.grant_frames || shape.maptrack_frames)) {
        told.error().message +=
            "; max_grant_frames and max_maptrack_frames must not be above its own limits, "
            "its options gnttab_max_frames and gnttab_max_maptrack_frames";
    }
    return told;
}

} // namespace

Result<std::unique_ptr<Xen_control>> Xen_control::open()
{
    Hypercall hypercall   = TRY(Hypercall::open());
    Foreign_memory memory = TRY(Foreign_memory::open());
    return std::unique_ptr<Xen_control>(new Xen_control(std::move(hypercall), std::move(memory)));
}

Result<void> Xen_control::simple_domctl(std::uint32_t command, Domid id, xen_domctl& op,
                                        std::string_view what) const
{
    for (;;) {
        const auto done = call_.domctl(command, id, op);
        if (done) {
            return {};
        }
        if (!is_to_be_repeated(done.error().code)) {
            return refusal(done.error(), what, id);
        }
    }
}

Result<Domid> Xen_control::create(const Domain_shape& shape)
{
    xen_domctl op{};
    auto& wanted                = op.u.createdomain;
    wanted.flags                = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap;
    wanted.max_vcpus            = shape.max_vcpus;
    wanted.cpupool_id           = shape.pool;
    wanted.max_evtchn_port      = shape.event_channels.value_or(kEvent_channels);
    wanted.max_grant_frames     = limit_of(shape.grant_frames);
    wanted.max_maptrack_frames  = limit_of(shape.maptrack_frames);
    wanted.grant_opts           = XEN_DOMCTL_GRANT_version(1);
    wanted.arch.emulation_flags = XEN_X86_EMU_LAPIC;
    std::copy(shape.uuid.begin(), shape.uuid.end(), std::begin(wanted.handle));
    // An id outside 1..DOMID_FIRST_RESERVED-1 asks for the next free one.
    if (const auto made = call_.domctl(XEN_DOMCTL_createdomain, kDom0, op); !made) {
        return refused_to_create(made.error(), shape);
    }
    const Domid id{op.domain};

    xen_domctl vcpus{};
    vcpus.u.max_vcpus.max = shape.max_vcpus;
    auto ready            = simple_domctl(XEN_DOMCTL_max_vcpus, id, vcpus, "give vCPUs to");
    if (ready) {
        ready = set_max_memory(id, shape.max_memory_kib);
    }
    if (!ready) {
        const auto gone = destroy(id);
        if (!gone) {
            return fail(ready.error().code, ready.error().message + "; and then: " + gone.error().message);
        }
        return std::unexpected(ready.error());
    }
    return id;
}

Result<void> Xen_control::destroy(Domid id)
{
    xen_domctl op{};
    return simple_domctl(XEN_DOMCTL_destroydomain, id, op, "destroy");
}

Result<void> Xen_control::pause(Domid id)
{
    xen_domctl op{};
    return simple_domctl(XEN_DOMCTL_pausedomain, id, op, "pause");
}

Result<void> Xen_control::resume(Domid id)
{
    xen_domctl op{};
    return simple_domctl(XEN_DOMCTL_resumedomain, id, op, "resume");
}

Result<void> Xen_control::unpause(Domid id)
{
    xen_domctl op{};
    return simple_domctl(XEN_DOMCTL_unpausedomain, id, op, "unpause");
}

Result<void> Xen_control::shutdown(Domid id, Shutdown_reason reason)
{
    sched_remote_shutdown op{};
    op.domain_id = raw(id);
    op.reason    = static_cast<unsigned>(reason);
    if (const auto done = call_.sched_op(SCHEDOP_remote_shutdown, op); !done) {
        return refusal(done.error(), "stop", id);
    }
    return {};
}

Result<Domain_info> Xen_control::info(Domid id)
{
    xen_domctl op{};
    TRY(simple_domctl(XEN_DOMCTL_getdomaininfo, id, op, "describe"));
    // Asked for an id that is free, the hypervisor may describe the next domain instead.
    if (op.u.getdomaininfo.domain != raw(id)) {
        return fail(Errc::no_such_domain, "there is no domain " + to_string(id));
    }
    return to_info(op.u.getdomaininfo);
}

Result<std::vector<Domain_info>> Xen_control::list()
{
    constexpr std::uint32_t kBatch = 128;
    const auto buffer              = TRY(call_.buffer(kBatch * sizeof(xen_domctl_getdomaininfo)));
    auto* entries                  = buffer.as<xen_domctl_getdomaininfo>();
    std::vector<Domain_info> domains;
    std::uint32_t next = 0;
    for (;;) {
        xen_sysctl op{};
        auto& query        = op.u.getdomaininfolist;
        query.first_domain = static_cast<domid_t>(next);
        query.max_domains  = kBatch;
        set_xen_guest_handle_raw(query.buffer, entries);
        if (const auto done = call_.sysctl(XEN_SYSCTL_getdomaininfolist, op); !done) {
            return refusal(done.error(), "list the domains", std::nullopt);
        }
        const std::uint32_t found = std::min(query.num_domains, kBatch);
        for (std::uint32_t i = 0; i < found; ++i) {
            domains.push_back(to_info(entries[i]));
        }
        if (found < kBatch) {
            return domains;
        }
        next = raw(domains.back().id) + 1U;
    }
}

Result<void> Xen_control::set_max_memory(Domid id, std::uint64_t kib)
{
    xen_domctl op{};
    op.u.max_mem.max_memkb = kib;
    return simple_domctl(XEN_DOMCTL_max_mem, id, op, "limit the memory of");
}

Result<void> Xen_control::set_uuid(Domid id, const Uuid_bytes& uuid)
{
    xen_domctl op{};
    std::copy(uuid.begin(), uuid.end(), std::begin(op.u.setdomainhandle.handle));
    return simple_domctl(XEN_DOMCTL_setdomainhandle, id, op, "set the UUID of");
}

Result<void> Xen_control::set_time_offset(Domid id, std::int64_t seconds)
{
    xen_domctl op{};
    op.u.settimeoffset.time_offset_seconds = seconds;
    return simple_domctl(XEN_DOMCTL_settimeoffset, id, op, "set the clock of");
}

} // namespace vmm
