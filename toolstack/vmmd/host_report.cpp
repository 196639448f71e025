// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/host_report.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <utility>

#include <xen/domctl.h>

namespace vmm
{

namespace
{

constexpr std::array<std::pair<unsigned, std::string_view>, 5> kSchedulers{{
    {XEN_SCHEDULER_CREDIT, "credit"},
    {XEN_SCHEDULER_CREDIT2, "credit2"},
    {XEN_SCHEDULER_ARINC653, "arinc653"},
    {XEN_SCHEDULER_RTDS, "rtds"},
    {XEN_SCHEDULER_NULL, "null"},
}};

std::string hw_caps_text(const std::array<std::uint32_t, 8>& words)
{
    std::string text;
    for (const std::uint32_t word : words) {
        std::array<char, 10> part{};
        std::snprintf(part.data(), part.size(), "%08x", word);
        text += (text.empty() ? "" : ":") + std::string(part.data());
    }
    return text;
}

std::string virt_caps_text(const Host_info& host)
{
    std::string text = "pvh";
    if (host.hap) {
        text += " hap";
    }
    if (host.directio) {
        text += " directio";
    }
    return text;
}

std::string hex(std::uint64_t value)
{
    std::array<char, 24> text{};
    std::snprintf(text.data(), text.size(), "virt_start=0x%llx", static_cast<unsigned long long>(value));
    return text.data();
}

// What a hypervisor keeps to itself is left out.
void put_text(control::Json& report, const char* key, const std::string& text)
{
    if (!text.empty()) {
        report[key] = text;
    }
}

} // namespace

std::string scheduler_name(unsigned id)
{
    const auto* const found = std::ranges::find(kSchedulers, id, &decltype(kSchedulers)::value_type::first);
    return found != kSchedulers.end() ? std::string(found->second) : "scheduler " + std::to_string(id);
}

std::optional<unsigned> parse_scheduler(std::string_view name)
{
    const auto* const found =
        std::ranges::find(kSchedulers, name, &decltype(kSchedulers)::value_type::second);
    return found != kSchedulers.end() ? std::optional(found->first) : std::nullopt;
}

control::Json host_report(const Host_info& host, const Version_info& version)
{
    control::Json report = control::Json::object();
    utsname kernel{};
    uname(&kernel);
    put_text(report, "host", kernel.nodename);
    put_text(report, "release", kernel.release);
    put_text(report, "version", kernel.version);
    put_text(report, "machine", kernel.machine);
    report["nr_cpus"]          = host.cpus;
    report["max_cpu_id"]       = host.max_cpu_id;
    report["nr_nodes"]         = host.nodes;
    report["cores_per_socket"] = host.cores_per_socket;
    report["threads_per_core"] = host.threads_per_core;
    report["cpu_mhz"]          = host.cpu_khz / 1000;
    put_text(report, "hw_caps", hw_caps_text(host.hw_caps));
    put_text(report, "virt_caps", virt_caps_text(host));
    report["total_memory"] = host.total_kib / 1024;
    report["free_memory"]  = host.free_kib / 1024;
    report["xen_major"]    = version.major;
    report["xen_minor"]    = version.minor;
    put_text(report, "xen_extra", version.extra);
    report["xen_version"] =
        std::to_string(version.major) + "." + std::to_string(version.minor) + version.extra;
    put_text(report, "xen_caps", version.capabilities);
    report["xen_scheduler"]   = scheduler_name(host.scheduler);
    report["xen_pagesize"]    = kPageSize;
    report["platform_params"] = hex(version.virt_start);
    put_text(report, "xen_changeset", version.changeset);
    put_text(report, "xen_commandline", version.command_line);
    put_text(report, "cc_compiler", version.compiler);
    put_text(report, "cc_compile_by", version.compile_by);
    put_text(report, "cc_compile_domain", version.compile_domain);
    put_text(report, "cc_compile_date", version.compile_date);
    report["vmmd_version"] = PLINTH_VERSION;
    return report;
}

} // namespace vmm
