// SPDX-License-Identifier: Apache-2.0
// The part of Xen_control that is about the machine: processors, free memory, versions, the hypervisor's log.
#include "toolstack/xen/refusal.hpp"
#include "toolstack/xen/xen_control.hpp"

#include <xen/version.h>

#include <algorithm>
#include <array>

namespace vmm
{

namespace
{

template <std::size_t N>
std::string text_of(const char (&field)[N])
{
    return {field, strnlen(field, N)};
}

// Reads one of the strings of xen_version(); a hypervisor that keeps one to itself answers an error: then it
// is empty.
template <class T>
T version_part(const Hypercall& call, unsigned command)
{
    struct Part {
        T value;
    } part{};
    if (!call.xen_version(command, &part, sizeof part)) {
        part = {};
    }
    return part.value;
}

template <class Text>
std::string version_text(const Hypercall& call, unsigned command)
{
    std::array<char, sizeof(Text)> text{};
    if (!call.xen_version(command, text.data(), text.size())) {
        return {};
    }
    return {text.data(), strnlen(text.data(), text.size())};
}

} // namespace

Result<Host_info> Xen_control::host()
{
    xen_sysctl op{};
    if (const auto done = call_.sysctl(XEN_SYSCTL_physinfo, op); !done) {
        return refusal(done.error(), "describe the machine", std::nullopt);
    }
    const auto& from                    = op.u.physinfo;
    constexpr std::uint64_t kKibPerPage = kPageSize / 1024;
    Host_info info;
    info.cpus             = from.nr_cpus;
    info.cores_per_socket = from.cores_per_socket;
    info.threads_per_core = from.threads_per_core;
    info.nodes            = from.nr_nodes;
    info.cpu_khz          = from.cpu_khz;
    info.total_kib        = from.total_pages * kKibPerPage;
    info.free_kib         = (from.free_pages + from.scrub_pages) * kKibPerPage;
    info.claimed_kib      = from.outstanding_pages * kKibPerPage;
    info.max_cpu_id       = from.max_cpu_id;
    std::copy(std::begin(from.hw_cap), std::end(from.hw_cap), info.hw_caps.begin());
    info.hap      = (from.capabilities & XEN_SYSCTL_PHYSCAP_hap) != 0;
    info.directio = (from.capabilities & XEN_SYSCTL_PHYSCAP_directio) != 0;
    xen_sysctl scheduler{};
    if (call_.sysctl(XEN_SYSCTL_sched_id, scheduler)) {
        info.scheduler = scheduler.u.sched_id.sched_id;
    }
    return info;
}

Result<Version_info> Xen_control::version()
{
    const auto number = call_.xen_version(XENVER_version, nullptr, 0);
    if (!number) {
        return refusal(number.error(), "tell its version", std::nullopt);
    }
    Version_info info;
    info.major          = static_cast<unsigned>(*number) >> 16;
    info.minor          = static_cast<unsigned>(*number) & 0xffff;
    info.extra          = version_text<xen_extraversion_t>(call_, XENVER_extraversion);
    info.capabilities   = version_text<xen_capabilities_info_t>(call_, XENVER_capabilities);
    info.changeset      = version_text<xen_changeset_info_t>(call_, XENVER_changeset);
    info.command_line   = version_text<xen_commandline_t>(call_, XENVER_commandline);
    info.virt_start     = version_part<xen_platform_parameters>(call_, XENVER_platform_parameters).virt_start;
    const auto compile  = version_part<xen_compile_info>(call_, XENVER_compile_info);
    info.compiler       = text_of(compile.compiler);
    info.compile_by     = text_of(compile.compile_by);
    info.compile_domain = text_of(compile.compile_domain);
    info.compile_date   = text_of(compile.compile_date);
    return info;
}

Result<std::string> Xen_control::read_log(bool clear)
{
    constexpr std::size_t kChunk = 32 * 1024;
    const auto buffer            = TRY(call_.buffer(kChunk));
    std::string text;
    std::uint32_t index = 0;
    for (bool first = true;; first = false) {
        xen_sysctl op{};
        auto& query       = op.u.readconsole;
        query.incremental = first ? 0 : 1;
        query.index       = index;
        query.count       = kChunk;
        set_xen_guest_handle_raw(query.buffer, buffer.as<char>());
        if (const auto done = call_.sysctl(XEN_SYSCTL_readconsole, op); !done) {
            return refusal(done.error(), "show its log", std::nullopt);
        }
        const std::size_t got = std::min<std::size_t>(query.count, kChunk);
        text.append(buffer.as<char>(), got);
        index = query.index;
        if (got < kChunk) {
            break;
        }
    }
    if (clear) {
        xen_sysctl op{};
        op.u.readconsole.clear = 1;
        op.u.readconsole.count = kChunk;
        set_xen_guest_handle_raw(op.u.readconsole.buffer, buffer.as<char>());
        if (const auto done = call_.sysctl(XEN_SYSCTL_readconsole, op); !done) {
            return refusal(done.error(), "clear its log", std::nullopt);
        }
    }
    return text;
}

} // namespace vmm
