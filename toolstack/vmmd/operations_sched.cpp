// SPDX-License-Identifier: Apache-2.0
// vcpu-pin, vcpu-set, sched-list, sched-set: where domains run, and how much. What is changed of a domain of
// ours goes into its config, so that it holds for its restarts, and when it is saved and restored.
#include "toolstack/vmmd/affinity.hpp"
#include "toolstack/vmmd/answers.hpp"
#include "toolstack/vmmd/domain_nodes.hpp"
#include "toolstack/vmmd/operations.hpp"

#include <optional>
#include <utility>

namespace vmm
{

using control::Code;
using control::Failure;

namespace
{

template <class T>
using Argument = std::expected<std::optional<T>, Failure>;

Argument<unsigned> optional_number(const control::Json& args, std::string_view name)
{
    if (!args.contains(name)) {
        return std::nullopt;
    }
    const auto number = number_argument(args, name);
    if (!number) {
        return std::unexpected(number.error());
    }
    if (*number > UINT32_MAX) {
        return failed(Code::bad_value, std::string(name) + " is out of range");
    }
    return static_cast<unsigned>(*number);
}

Argument<config::Cpu_set> optional_cpus(const control::Json& args, std::string_view name)
{
    if (!args.contains(name)) {
        return std::nullopt;
    }
    const auto text = text_argument(args, name);
    if (!text) {
        return std::unexpected(text.error());
    }
    auto cpus = config::Cpu_set::parse(*text);
    if (!cpus) {
        return failed(Code::bad_value, std::string(name) + ": " + cpus.error());
    }
    return *std::move(cpus);
}

Result<std::optional<Cpu_bits>> optional_bits(const std::optional<config::Cpu_set>& cpus,
                                              const Host_info& host)
{
    if (!cpus) {
        return std::nullopt;
    }
    return TRY(to_bits(*cpus, host));
}

Result<Affinity> affinity_of(const std::optional<config::Cpu_set>& hard,
                             const std::optional<config::Cpu_set>& soft, const Host_info& host)
{
    return Affinity{TRY(optional_bits(hard, host)), TRY(optional_bits(soft, host))};
}

} // namespace

Answer Operations::vcpu_pin(const Json& args)
{
    const auto found = target(args);
    const auto only  = optional_number(args, "vcpu");
    const auto hard  = optional_cpus(args, "hard");
    const auto soft  = optional_cpus(args, "soft");
    if (const Failure* refusal = first_refusal(found, only, hard, soft)) {
        return std::unexpected(*refusal);
    }
    if (!*hard && !*soft) {
        return failed(Code::bad_request, "the request has neither \"hard\" nor \"soft\"");
    }
    const auto info = control_.info(found->id);
    const auto host = control_.host();
    if (!info || !host) {
        return failed(info ? host.error() : info.error());
    }
    if (*only && **only >= info->max_vcpus) {
        return failed(Code::bad_value, "\"" + found->name + "\" has no vCPU " + std::to_string(**only) +
                                           ": they are numbered from 0 to " +
                                           std::to_string(info->max_vcpus - 1));
    }
    const auto affinity = affinity_of(*hard, *soft, *host);
    if (!affinity) {
        return failed(affinity.error());
    }
    config::Domain_config changed =
        found->domain != nullptr ? found->domain->config : config::Domain_config();
    Result<void> done;
    for (unsigned vcpu = only->value_or(0); vcpu <= only->value_or(info->max_vcpus - 1); ++vcpu) {
        done = control_.set_affinity(found->id, vcpu, *affinity);
        if (!done) {
            break;
        }
        if (*hard) {
            set_affinity_of(changed.affinity, vcpu, **hard);
        }
        if (*soft) {
            set_affinity_of(changed.soft_affinity, vcpu, **soft);
        }
    }
    if (found->domain != nullptr) {
        supervisor_.set_config(found->id, std::move(changed)); // also of those before one that failed
    }
    if (!done) {
        return failed(done.error());
    }
    return Json{{"domid", raw(found->id)}};
}

// The guest follows in its own time, or not at all.
Answer Operations::vcpu_set(const Json& args)
{
    const auto found = target(args);
    const auto count = number_argument(args, "count");
    if (const Failure* refusal = first_refusal(found, count)) {
        return std::unexpected(*refusal);
    }
    const auto info = control_.info(found->id);
    if (!info) {
        return failed(info.error());
    }
    if (*count < 1 || *count > info->max_vcpus) {
        return failed(Code::bad_value,
                      "\"" + found->name + "\" can have 1 to " + std::to_string(info->max_vcpus) +
                          " vCPUs, not " + std::to_string(*count) + "; " +
                          (found->id == kDom0 ? "the hypervisor's dom0_max_vcpus= sets the limit"
                                              : "maxvcpus= in its file sets the limit"));
    }
    const auto online = static_cast<unsigned>(*count);
    if (const auto written = write_cpus(store_, found->id, online, info->max_vcpus); !written) {
        return failed(written.error());
    }
    if (found->domain != nullptr) {
        config::Domain_config changed = found->domain->config;
        changed.vcpus                 = online;
        supervisor_.set_config(found->id, std::move(changed));
    }
    return Json{{"domid", raw(found->id)}, {"vcpus", online}};
}

// Of all domains, those that are not shared out by weight are left out, unless that leaves none.
Answer Operations::sched_list(const Json& args)
{
    const auto found = targets(args);
    if (!found) {
        return std::unexpected(found.error());
    }
    const bool all = !args.contains("domains") || args.at("domains").empty();
    Json rows      = Json::array();
    std::optional<Error> refused;
    for (const Target& target : *found) {
        const auto share = control_.scheduling(target.id);
        if (share) {
            rows.push_back(control::to_json(control::Sched_row{
                raw(target.id), target.name, share->weight.value_or(0), share->cap.value_or(0)}));
        } else if (all && share.error().code == Errc::unsupported) {
            refused = share.error();
        } else if (!all || share.error().code != Errc::no_such_domain) {
            return failed(share.error());
        }
    }
    if (rows.empty() && refused) {
        return failed(*refused);
    }
    return Json{{"domains", std::move(rows)}};
}

Answer Operations::sched_set(const Json& args)
{
    const auto found  = target(args);
    const auto weight = optional_number(args, "weight");
    const auto cap    = optional_number(args, "cap");
    if (const Failure* refusal = first_refusal(found, weight, cap)) {
        return std::unexpected(*refusal);
    }
    const auto info = control_.info(found->id);
    if (!info) {
        return failed(info.error());
    }
    if (const auto good = *weight ? config::check_cpu_weight(**weight) : config::Checked(); !good) {
        return failed(Code::bad_value, "weight: " + good.error());
    }
    if (const auto good = *cap ? config::check_cap(**cap, info->max_vcpus) : config::Checked(); !good) {
        return failed(Code::bad_value, "cap: " + good.error());
    }
    if (const auto done = control_.set_scheduling(found->id, {*weight, *cap}); !done) {
        return failed(done.error());
    }
    const auto now = control_.scheduling(found->id);
    if (!now) {
        return failed(now.error());
    }
    if (found->domain != nullptr) {
        config::Domain_config changed = found->domain->config;
        changed.cpu_weight            = now->weight.value_or(changed.cpu_weight);
        changed.cap                   = now->cap.value_or(changed.cap);
        supervisor_.set_config(found->id, std::move(changed));
    }
    return Json{
        {"domid", raw(found->id)}, {"weight", now->weight.value_or(0)}, {"cap", now->cap.value_or(0)}};
}

} // namespace vmm
