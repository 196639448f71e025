// SPDX-License-Identifier: Apache-2.0
// The operations that begin, change and end a domain.
#include "toolstack/config/domain_config_json.hpp"
#include "toolstack/vmmd/answers.hpp"
#include "toolstack/vmmd/domain_nodes.hpp"
#include "toolstack/vmmd/guest_request.hpp"
#include "toolstack/vmmd/operations.hpp"

#include <cctype>
#include <utility>

namespace vmm
{

using control::Code;

namespace
{

constexpr auto kPatience = std::chrono::seconds(10);

} // namespace

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
    const auto found = guest_target(args);
    if (!found) {
        // A domain that is being made, or is between its end and its restart, can be told not to come.
        const auto name     = text_argument(args, "domain");
        const auto creation = name ? supervisor_.creation_of(*name) : std::nullopt;
        if (!creation) {
            client.answer(std::unexpected(found.error()));
            return {};
        }
        supervisor_.cancel(*creation, [this, args, client] {
            if (guest_target(args)) { // it came before it could be stopped
                destroy(args, client);
            } else {
                client.answer(Json::object());
            }
        });
        return {};
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
