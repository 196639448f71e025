// SPDX-License-Identifier: Apache-2.0
// The operations that only look.
#include "toolstack/config/domain_config_json.hpp"
#include "toolstack/vmmd/affinity.hpp"
#include "toolstack/vmmd/answers.hpp"
#include "toolstack/vmmd/boot_clock.hpp"
#include "toolstack/vmmd/end_policy.hpp"
#include "toolstack/vmmd/host_report.hpp"
#include "toolstack/vmmd/operations.hpp"

#include <utility>

namespace vmm
{

using control::Code;

control::Domain_row Operations::row(const Domain_info& info, const Target& target)
{
    control::Domain_row row;
    row.domid         = raw(info.id);
    row.name          = target.name;
    row.uuid          = config::Uuid{info.uuid}.to_string();
    row.state.running = info.running;
    row.state.blocked = info.blocked && !info.running;
    row.state.paused  = info.paused;
    row.state.dying   = info.dying;
    if (info.shutdown) {
        row.state.crashed =
            *info.shutdown == Shutdown_reason::crash || *info.shutdown == Shutdown_reason::watchdog;
        row.state.shutdown  = !row.state.crashed;
        row.shutdown_reason = vmm::name_of(*info.shutdown);
    }
    row.memory_kib     = info.memory_kib;
    row.shared_kib     = info.shared_kib;
    row.max_memory_kib = target.domain != nullptr ? target.domain->max_kib() : info.max_memory_kib;
    row.vcpus          = info.online_vcpus;
    row.cpu_time_ns    = info.cpu_time;
    return row;
}

Answer Operations::list(const Json& args)
{
    const auto found      = targets(args);
    const auto wants_long = flag_argument(args, "long");
    if (const auto* const wrong = first_refusal(found, wants_long)) {
        return std::unexpected(*wrong);
    }
    Json rows = Json::array();
    for (const Target& target : *found) {
        const auto info = control_.info(target.id);
        if (!info) {
            continue; // gone between the two questions
        }
        Json one = control::to_json(row(*info, target));
        if (*wants_long && target.domain != nullptr) {
            one["config"] = config::to_json(target.domain->config);
        }
        if (const Console* console = supervisor_.console_of(target.id);
            *wants_long && console != nullptr && !console->tty().empty()) {
            one["console"] = console->tty();
        }
        rows.push_back(std::move(one));
    }
    return Json{{"domains", std::move(rows)}};
}

Answer Operations::console(const Json& args)
{
    const auto found = guest_target(args);
    if (!found) {
        return std::unexpected(found.error());
    }
    const Console* console = supervisor_.console_of(found->id);
    if (console == nullptr || console->tty().empty()) {
        return failed(Code::bad_state, "\"" + found->name + "\" has no console here" +
                                           (found->domain == nullptr && console == nullptr
                                                ? ": it was made by another tool, which has set up none"
                                                : "; vmmd's log says why"));
    }
    return Json{{"domid", raw(found->id)}, {"name", found->name}, {"pty", console->tty()}};
}

Answer Operations::domid(const Json& args)
{
    const auto found = target(args);
    if (!found) {
        return std::unexpected(found.error());
    }
    return Json{{"domid", raw(found->id)}};
}

Answer Operations::domname(const Json& args)
{
    const auto found = target(args);
    if (!found) {
        return std::unexpected(found.error());
    }
    return Json{{"domid", raw(found->id)}, {"name", found->name}};
}

Answer Operations::vcpu_list(const Json& args)
{
    const auto found = targets(args);
    if (!found) {
        return std::unexpected(found.error());
    }
    const Host_info host = control_.host().value_or(Host_info{});
    Json rows            = Json::array();
    for (const Target& target : *found) {
        const auto info = control_.info(target.id);
        for (unsigned number = 0; info && number < info->max_vcpus; ++number) {
            const auto vcpu = control_.vcpu(target.id, number);
            if (!vcpu) {
                continue;
            }
            control::Vcpu_row one;
            one.domid = raw(target.id);
            one.name  = target.name;
            one.vcpu  = number;
            if (vcpu->online) {
                one.cpu = vcpu->cpu;
            }
            one.state.running = vcpu->running;
            one.state.blocked = vcpu->blocked && !vcpu->running;
            one.state.paused  = info->paused;
            one.cpu_time_ns   = vcpu->cpu_time;
            one.affinity      = to_text(vcpu->hard_affinity, host);
            one.soft_affinity = to_text(vcpu->soft_affinity, host);
            rows.push_back(control::to_json(one));
        }
    }
    return Json{{"vcpus", std::move(rows)}};
}

Answer Operations::info(const Json&)
{
    const auto host    = control_.host();
    const auto version = control_.version();
    if (!host || !version) {
        return failed(host ? version.error() : host.error());
    }
    return host_report(*host, *version);
}

Answer Operations::cpu_policy(const Json& args)
{
    Result<cpu::Cpu_policy> policy;
    if (args.contains("domain")) {
        const auto found = target(args);
        if (!found) {
            return std::unexpected(found.error());
        }
        policy = control_.cpu_policy(found->id);
    } else {
        policy = control_.offered_cpu_policy();
    }
    if (!policy) {
        return failed(policy.error());
    }
    return Json{{"vendor", cpu::vendor_of(*policy)},
                {"model", cpu::model_of(*policy)},
                {"cpuid", cpu::features_of(*policy).to_string()}};
}

Answer Operations::dmesg(const Json& args)
{
    const auto clear = flag_argument(args, "clear");
    if (!clear) {
        return std::unexpected(clear.error());
    }
    auto text = control_.read_log(*clear);
    if (!text) {
        return failed(text.error());
    }
    return Json{{"text", std::move(*text)}};
}

Answer Operations::uptime(const Json& args)
{
    const auto found = targets(args);
    if (!found) {
        return std::unexpected(found.error());
    }
    Json rows = Json::array();
    for (const Target& target : *found) {
        if (target.domain == nullptr && target.id != kDom0) {
            continue; // nobody noted when another tool's domain was started
        }
        const std::int64_t started = target.domain != nullptr ? target.domain->started : 0;
        rows.push_back(
            {{"domid", raw(target.id)}, {"name", target.name}, {"uptime_s", boot_seconds() - started}});
    }
    return Json{{"domains", std::move(rows)}};
}

} // namespace vmm
