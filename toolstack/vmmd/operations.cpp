// SPDX-License-Identifier: Apache-2.0
// Which operations there are, how a domain is named in them, and those that change something.
#include "toolstack/vmmd/operations.hpp"

#include "toolstack/config/domain_config_json.hpp"
#include "toolstack/vmmd/answers.hpp"
#include "toolstack/vmmd/domain_nodes.hpp"
#include "toolstack/vmmd/end_policy.hpp"
#include "toolstack/vmmd/guest_request.hpp"

#include <map>
#include <memory>
#include <set>
#include <utility>

namespace vmm
{

using control::Code;
using control::Failure;

namespace
{

constexpr auto kPatience = std::chrono::seconds(10);

} // namespace

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
        if (const auto info = control_.info(*id); !info) {
            return failed(info.error());
        }
        return Target{*id, nullptr, name_of(*id)};
    }
    if (wanted == kDom0Name) {
        return Target{kDom0, nullptr, std::string(kDom0Name)};
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
            found.push_back({info.id, supervisor_.domains().find(info.id), name_of(info.id)});
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

Operations::Cancel Operations::create(const Json& args, Client client)
{
    const auto given = args.find("config");
    auto paused      = flag_argument(args, "paused");
    if (given == args.end() || !paused) {
        client.answer(paused ? failed(Code::bad_request, "the request has no \"config\"")
                             : Answer(std::unexpected(paused.error())));
        return {};
    }
    auto config = config::from_json(*given);
    if (!config) {
        client.answer(failed(Code::bad_config, config.error().to_string()));
        return {};
    }
    Supervisor::Creation creation;
    creation.config = std::move(*config);
    creation.paused = *paused;
    return begin(std::move(creation), client);
}

void Operations::answer_made(const Client& client, const Result<Domid>& made, const Json& more)
{
    if (!made) {
        client.answer(failed(made.error()));
        return;
    }
    const Domain* domain = supervisor_.domains().find(*made);
    Json answer{{"domid", raw(*made)}, {"name", domain->name()}, {"uuid", domain->uuid.to_string()}};
    answer.update(more);
    client.answer(std::move(answer));
}

Operations::Cancel Operations::begin(Supervisor::Creation creation, const Client& client,
                                     const std::function<Json()>& more)
{
    creation.still_wanted = client.is_there;
    creation.done = [this, client, more](const Result<Domid>& made) { answer_made(client, made, more()); };
    const auto id = supervisor_.create(std::move(creation));
    if (!id) {
        client.answer(failed(id.error()));
        return {};
    }
    return [this, id = *id] { supervisor_.cancel(id); };
}

Operations::Cancel Operations::ask(const Json& args, Client client, const std::string& node,
                                   const std::string& value)
{
    const auto found = guest_target(args);
    const auto info  = found ? control_.info(found->id) : Result<Domain_info>();
    if (!found || !info) {
        client.answer(found ? Answer(failed(info.error())) : Answer(std::unexpected(found.error())));
        return {};
    }
    if (info->shutdown || info->paused) {
        client.answer(failed(Code::bad_state,
                             "\"" + found->name + "\" is " +
                                 (info->shutdown ? "not running any more" : "paused: xm unpause it first")));
        return {};
    }
    auto done = [client, target = *found](Result<void> taken) {
        if (taken) {
            client.answer(Json{{"domid", raw(target.id)}});
            return;
        }
        client.answer(
            failed(Code::bad_state, "\"" + target.name + "\" has not taken note of the request within " +
                                        std::to_string(kPatience.count()) +
                                        " s (still starting, hanging, or without Xen drivers); the request "
                                        "stands, and xm destroy ends it at once"));
    };
    const auto asked =
        ask_guest(loop_, store_, domain_path(found->id) + node, value, kPatience, std::move(done));
    if (!asked) {
        client.answer(failed(asked.error()));
    }
    return {};
}

Operations::Cancel Operations::shutdown(const Json& args, Client client)
{
    return ask(args, std::move(client), "/control/shutdown", "poweroff");
}

Operations::Cancel Operations::reboot(const Json& args, Client client)
{
    return ask(args, std::move(client), "/control/shutdown", "reboot");
}

Operations::Cancel Operations::sysrq(const Json& args, Client client)
{
    const auto key  = text_argument(args, "key");
    const bool good = key && key->size() == 1 && std::isalnum(static_cast<unsigned char>(key->front())) != 0;
    if (!good) {
        client.answer(key ? Answer(failed(Code::bad_value,
                                          "key is one letter or digit, see sysrq in the kernel's manual"))
                          : Answer(std::unexpected(key.error())));
        return {};
    }
    return ask(args, std::move(client), "/control/sysrq", *key);
}

Operations::Cancel Operations::wait(const Json& args, Client client)
{
    const auto number = number_argument(args, "domid");
    if (!number || *number >= kFirstReservedDomid) {
        client.answer(number ? Answer(failed(Code::bad_value, "domid is out of range"))
                             : Answer(std::unexpected(number.error())));
        return {};
    }
    const Domid id{static_cast<std::uint16_t>(*number)};
    const auto wait_id = supervisor_.wait(id, [client, id](const Supervisor::End& end) {
        Json result{{"domid", raw(id)}, {"reason", end.reason}};
        switch (end.outcome) {
        case Supervisor::Outcome::gone: result["outcome"] = "gone"; break;
        case Supervisor::Outcome::preserved: result["outcome"] = "preserved"; break;
        case Supervisor::Outcome::restarted:
            result["outcome"]   = "restarted";
            result["new_domid"] = raw(end.successor.value_or(Domid{}));
            break;
        }
        client.answer(std::move(result));
    });
    return [this, wait_id] { supervisor_.cancel_wait(wait_id); };
}

Answer Operations::pause(const Json& args)
{
    const auto found = guest_target(args);
    if (!found) {
        return std::unexpected(found.error());
    }
    if (const auto done = control_.pause(found->id); !done) {
        return failed(done.error());
    }
    return Json{{"domid", raw(found->id)}};
}

Answer Operations::unpause(const Json& args)
{
    const auto found = guest_target(args);
    if (!found) {
        return std::unexpected(found.error());
    }
    if (const auto done = control_.unpause(found->id); !done) {
        return failed(done.error());
    }
    return Json{{"domid", raw(found->id)}};
}

Operations::Cancel Operations::destroy(const Json& args, Client client)
{
    auto found = guest_target(args);
    if (!found) {
        // A domain between its end and its restart is none at the moment, but can be told not to come back.
        const auto name = text_argument(args, "domain");
        const auto id   = name ? supervisor_.awaiting_restart(*name) : std::nullopt;
        if (!id) {
            client.answer(std::unexpected(found.error()));
            return {};
        }
        found = Target{*id, nullptr, *name};
    }
    supervisor_.destroy(found->id, [client, id = found->id](const Result<void>& done) {
        client.answer(done ? Answer(Json{{"domid", raw(id)}}) : Answer(failed(done.error())));
    });
    return {}; // it goes on without its client
}

Answer Operations::rename(const Json& args)
{
    const auto found = guest_target(args);
    const auto name  = text_argument(args, "name");
    if (const auto* const wrong = first_refusal(found, name)) {
        return std::unexpected(*wrong);
    }
    if (const auto done = supervisor_.rename(found->id, *name); !done) {
        return failed(done.error());
    }
    return Json{{"domid", raw(found->id)}, {"name", *name}};
}

Answer Operations::mem_set(const Json& args)
{
    const auto found = target(args);
    const auto kib   = number_argument(args, "kib");
    if (const auto* const wrong = first_refusal(found, kib)) {
        return std::unexpected(*wrong);
    }
    if (const auto done = supervisor_.set_target(found->id, *kib); !done) {
        return failed(done.error());
    }
    return Json{{"domid", raw(found->id)}, {"target_kib", *kib}};
}

Answer Operations::mem_max(const Json& args)
{
    const auto found = target(args);
    const auto kib   = number_argument(args, "kib");
    if (const auto* const wrong = first_refusal(found, kib)) {
        return std::unexpected(*wrong);
    }
    if (const auto done = supervisor_.set_max(found->id, *kib); !done) {
        return failed(done.error());
    }
    return Json{{"domid", raw(found->id)}, {"max_kib", *kib}};
}

} // namespace vmm
