// SPDX-License-Identifier: Apache-2.0
// Which operations there are, and how a domain is named in them.
#include "toolstack/vmmd/operations.hpp"

#include "toolstack/vmmd/answers.hpp"
#include "toolstack/vmmd/domain_nodes.hpp"

#include <map>
#include <set>
#include <utility>

namespace vmm
{

using control::Code;
using control::Failure;

Operations::Cancel Operations::perform(const std::string& op, const Json& args, Client client)
{
    static const std::map<std::string_view, Immediate> kImmediate{
        {control::op::list, &Operations::list},
        {control::op::console, &Operations::console},
        {control::op::pause, &Operations::pause},
        {control::op::unpause, &Operations::unpause},
        {control::op::rename, &Operations::rename},
        {control::op::domid, &Operations::domid},
        {control::op::domname, &Operations::domname},
        {control::op::mem_set, &Operations::mem_set},
        {control::op::mem_max, &Operations::mem_max},
        {control::op::vcpu_list, &Operations::vcpu_list},
        {control::op::info, &Operations::info},
        {control::op::dmesg, &Operations::dmesg},
        {control::op::uptime, &Operations::uptime},
        {control::op::device_list, &Operations::device_list},
        {control::op::progress, &Operations::progress},
        {control::op::vcpu_pin, &Operations::vcpu_pin},
        {control::op::vcpu_set, &Operations::vcpu_set},
        {control::op::pool_list, &Operations::pool_list},
        {control::op::pool_create, &Operations::pool_create},
        {control::op::pool_destroy, &Operations::pool_destroy},
        {control::op::pool_rename, &Operations::pool_rename},
        {control::op::pool_cpus, &Operations::pool_cpus},
        {control::op::pool_move, &Operations::pool_move},
        {control::op::cpu_online, &Operations::cpu_online},
        {control::op::sched_list, &Operations::sched_list},
        {control::op::sched_set, &Operations::sched_set},
        {control::op::cpu_policy, &Operations::cpu_policy},
        {control::op::migration, &Operations::migration},
        {control::op::take_back, &Operations::take_back},
    };
    static const std::map<std::string_view, Later> kLater{
        {control::op::create, &Operations::create},
        {control::op::save, &Operations::save},
        {control::op::fork, &Operations::fork},
        {control::op::restore, &Operations::restore},
        {control::op::migrate, &Operations::migrate},
        {control::op::receive, &Operations::receive},
        {control::op::shutdown, &Operations::shutdown},
        {control::op::reboot, &Operations::reboot},
        {control::op::sysrq, &Operations::sysrq},
        {control::op::wait, &Operations::wait},
        {control::op::destroy, &Operations::destroy},
        {control::op::device_attach, &Operations::device_attach},
        {control::op::device_detach, &Operations::device_detach},
        {control::op::device_change, &Operations::device_change},
        {control::op::device_grow, &Operations::device_grow},
    };
    if (const auto stays = check_stays(op, args); !stays) {
        client.answer(std::unexpected(stays.error()));
        return {};
    }
    if (const auto found = kImmediate.find(op); found != kImmediate.end()) {
        client.answer((this->*found->second)(args));
        return {};
    }
    if (const auto found = kLater.find(op); found != kLater.end()) {
        return (this->*found->second)(args, std::move(client));
    }
    client.answer(
        failed(Code::unknown_op, "this vmmd has no operation \"" + op + "\"; xm and vmmd differ in version"));
    return {};
}

// A domain on its way to a file or to another host is described already: what is changed of it now would not
// be so when it arrives.
std::expected<void, Failure> Operations::check_stays(std::string_view op, const Json& args)
{
    static const std::set<std::string_view> kChanges{
        control::op::pause,         control::op::rename,        control::op::mem_set,
        control::op::mem_max,       control::op::vcpu_pin,      control::op::vcpu_set,
        control::op::sched_set,     control::op::pool_move,     control::op::device_attach,
        control::op::device_detach, control::op::device_change, control::op::device_grow,
    };
    if (!kChanges.contains(op)) {
        return {};
    }
    const auto found = target(args);
    if (!found) {
        return {}; // as the operation itself will say
    }
    if (const auto stays = supervisor_.check_stays(found->id); !stays) {
        return failed(stays.error());
    }
    return {};
}

std::string Operations::name_of(Domid id)
{
    if (const Domain* domain = supervisor_.domains().find(id)) {
        return domain->name();
    }
    if (id == kDom0) {
        return std::string(kDom0Name);
    }
    return store_.read(domain_path(id) + "/name").value_or("");
}

std::expected<Operations::Target, Failure> Operations::find(std::string_view wanted)
{
    if (Domain* domain = supervisor_.domains().find_named(wanted)) {
        return Target{domain->id, domain, domain->name()};
    }
    if (const auto id = parse_domid(wanted)) {
        if (supervisor_.is_being_made(*id)) {
            return failed(Code::bad_state, "domain " + to_string(*id) + " is being created right now");
        }
        if (const auto info = control_.info(*id); !info) {
            return failed(info.error());
        }
        return Target{*id, nullptr, name_of(*id)};
    }
    if (wanted == kDom0Name) {
        return Target{kDom0, nullptr, std::string(kDom0Name)};
    }
    if (supervisor_.creation_of(wanted)) {
        return failed(Code::bad_state, "a domain \"" + std::string(wanted) +
                                           "\" is being created right now, or about to be restarted");
    }
    for (const Domain_info& info : control_.list().value_or(std::vector<Domain_info>{})) {
        if (name_of(info.id) == wanted) { // another tool's
            return Target{info.id, nullptr, std::string(wanted)};
        }
    }
    return failed(Code::no_domain,
                  "no domain is called \"" + std::string(wanted) + "\"; xm list shows those there are");
}

std::expected<Operations::Target, Failure> Operations::target(const Json& args)
{
    auto wanted = text_argument(args, "domain");
    if (!wanted) {
        return std::unexpected(wanted.error());
    }
    return find(*wanted);
}

std::expected<Operations::Target, Failure> Operations::guest_target(const Json& args)
{
    auto found = target(args);
    if (found && found->id == kDom0) {
        return failed(Code::not_permitted, "Domain-0 runs vmmd itself: that cannot be done to it");
    }
    return found;
}

std::expected<std::vector<Operations::Target>, Failure> Operations::targets(const Json& args)
{
    std::vector<Target> found;
    const auto wanted = args.find("domains");
    if (wanted == args.end() || wanted->empty()) {
        const auto all = control_.list();
        if (!all) {
            return failed(all.error());
        }
        for (const Domain_info& info : *all) {
            if (!supervisor_.is_being_made(info.id)) {
                found.push_back({info.id, supervisor_.domains().find(info.id), name_of(info.id)});
            }
        }
        return found;
    }
    if (!wanted->is_array()) {
        return failed(Code::bad_request, "\"domains\" is a list of strings");
    }
    for (const Json& entry : *wanted) {
        if (!entry.is_string()) {
            return failed(Code::bad_request, "\"domains\" is a list of strings");
        }
        auto one = find(entry.get<std::string>());
        if (!one) {
            return std::unexpected(one.error());
        }
        found.push_back(std::move(*one));
    }
    return found;
}

} // namespace vmm
