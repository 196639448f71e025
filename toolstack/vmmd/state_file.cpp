// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/state_file.hpp"

#include "toolstack/base/unique_fd.hpp"
#include "toolstack/config/domain_config_json.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <sstream>

namespace vmm
{

namespace
{

using Json = config::Json;

// Empty: none.
std::string text_of(const std::optional<config::Generation_id>& generation)
{
    return generation ? generation->to_string() : std::string();
}

// The library throws on a missing field or a wrong type; load() turns that into an error.
std::optional<config::Generation_id> generation_from_json(const Json& json)
{
    return config::Generation_id::parse(json.value("generation_id", std::string()));
}

Json to_json(const Domain& domain)
{
    return {{"domid", raw(domain.id)},
            {"uuid", domain.uuid.to_string()},
            {"generation_id", text_of(domain.generation)},
            {"config", config::to_json(domain.config)},
            {"store_page", raw(domain.rings.store_page)},
            {"store_port", raw(domain.rings.store_port)},
            {"console_page", raw(domain.rings.console_page)},
            {"console_port", raw(domain.rings.console_port)},
            {"static_max_kib", domain.static_max_kib},
            {"target_kib", domain.target_kib},
            {"overhead_kib", domain.overhead_kib},
            {"started", domain.started},
            {"quick_ends", domain.quick_ends},
            {"preserved", domain.preserved},
            {"renamed_from", domain.renamed_from ? domain.renamed_from->to_string() : std::string()},
            {"handed_over_to", domain.handed_over_to},
            {"saving_to", domain.saving_to},
            {"saving_over", domain.saving_over},
            {"unwanted", domain.unwanted}};
}

Result<config::Uuid> uuid_from_json(const Json& json)
{
    const auto uuid = config::Uuid::parse(json.at("uuid").get<std::string>());
    return uuid ? Result<config::Uuid>(*uuid) : fail(Errc::protocol, "its UUID is not valid");
}

std::optional<config::Uuid> renamed_from_json(const Json& json)
{
    const auto uuid = config::Uuid::parse(json.value("renamed_from", std::string()));
    return uuid ? std::optional(*uuid) : std::nullopt;
}

Result<config::Domain_config> config_from_json(const Json& json)
{
    auto parsed = config::from_json(json.at("config"));
    return parsed ? Result<config::Domain_config>(*std::move(parsed))
                  : fail(Errc::protocol, parsed.error().to_string());
}

Result<std::unique_ptr<Domain>> domain_from_json(const Json& json)
{
    auto domain                = std::make_unique<Domain>();
    domain->id                 = Domid{json.at("domid").get<std::uint16_t>()};
    domain->uuid               = TRY(uuid_from_json(json));
    domain->generation         = generation_from_json(json);
    domain->config             = TRY(config_from_json(json));
    domain->rings.store_page   = Gfn{json.at("store_page").get<std::uint64_t>()};
    domain->rings.store_port   = Evtchn_port{json.at("store_port").get<std::uint32_t>()};
    domain->rings.console_page = Gfn{json.at("console_page").get<std::uint64_t>()};
    domain->rings.console_port = Evtchn_port{json.at("console_port").get<std::uint32_t>()};
    domain->static_max_kib     = json.at("static_max_kib").get<std::uint64_t>();
    domain->target_kib         = json.at("target_kib").get<std::uint64_t>();
    domain->overhead_kib       = json.at("overhead_kib").get<std::uint64_t>();
    domain->started            = json.at("started").get<std::int64_t>();
    domain->quick_ends         = json.at("quick_ends").get<unsigned>();
    domain->preserved          = json.at("preserved").get<bool>();
    domain->renamed_from       = renamed_from_json(json);
    domain->handed_over_to     = json.value("handed_over_to", std::string());
    domain->saving_to          = json.value("saving_to", std::string());
    domain->saving_over        = json.value("saving_over", std::uint64_t{0});
    domain->unwanted           = json.value("unwanted", false);
    return domain;
}

Json to_json(const Saved_restart& restart)
{
    return {{"config", config::to_json(restart.config)},
            {"uuid", restart.uuid.to_string()},
            {"generation_id", text_of(restart.generation)},
            {"predecessor", raw(restart.predecessor)},
            {"reason", restart.reason},
            {"quick_ends", restart.quick_ends}};
}

Result<Saved_restart> restart_from_json(const Json& json)
{
    return Saved_restart{
        TRY(config_from_json(json)),          TRY(uuid_from_json(json)),
        generation_from_json(json),           Domid{json.at("predecessor").get<std::uint16_t>()},
        json.at("reason").get<std::string>(), json.at("quick_ends").get<unsigned>()};
}

Json to_json(const Saved_foreign& foreign)
{
    return {{"domid", raw(foreign.id)},
            {"uuid", foreign.uuid.to_string()},
            {"store_page", raw(foreign.store_page)},
            {"store_port", raw(foreign.store_port)}};
}

Result<Saved_foreign> foreign_from_json(const Json& json)
{
    return Saved_foreign{Domid{json.at("domid").get<std::uint16_t>()}, TRY(uuid_from_json(json)),
                         Gfn{json.at("store_page").get<std::uint64_t>()},
                         Evtchn_port{json.at("store_port").get<std::uint32_t>()}};
}

// `read` takes each entry of the list in, or says why not.
template <class Read>
void read_each(const Json& json, const std::string& list, std::vector<Unread>& unread, Read read)
{
    for (const Json& entry : json.at(list)) {
        Result<void> done;
        try {
            done = read(entry);
        } catch (const nlohmann::json::exception& error) {
            done = fail(Errc::protocol, error.what());
        }
        if (!done) {
            const auto uuid = entry.find("uuid");
            unread.push_back({list, entry.dump(),
                              uuid != entry.end() && uuid->is_string() ? uuid->get<std::string>() : "",
                              done.error().message});
        }
    }
}

Result<Saved_state> parse(const std::string& text, const std::string& path)
{
    try {
        const Json json = Json::parse(text);
        Saved_state state;
        auto& [unfinished, restarts, foreign, unread, placed] = state.rest;
        read_each(json, "domains", unread, [&](const Json& entry) -> Result<void> {
            state.domains.push_back(TRY(domain_from_json(entry)));
            return {};
        });
        for (const Json& uuid : json.at("unfinished")) {
            unfinished.insert(uuid.get<std::string>());
        }
        read_each(json, "restarts", unread, [&](const Json& entry) -> Result<void> {
            restarts.push_back(TRY(restart_from_json(entry)));
            return {};
        });
        read_each(json, "foreign", unread, [&](const Json& entry) -> Result<void> {
            foreign.push_back(TRY(foreign_from_json(entry)));
            return {};
        });
        for (const Json& entry : json.value("placed", Json::array())) {
            placed.push_back({entry.at("image").get<std::string>(), entry.at("aside").get<std::string>()});
        }
        return state;
    } catch (const nlohmann::json::exception& error) {
        return fail(Errc::protocol, path + ": " + error.what());
    }
}

Result<void> write_whole(const std::string& path, const std::string& text)
{
    const Unique_fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!fd) {
        return fail_errno("cannot write " + path);
    }
    for (std::size_t done = 0; done < text.size();) {
        const ssize_t now = ::write(fd.get(), text.data() + done, text.size() - done);
        if (now < 0 && errno != EINTR) {
            return fail_errno("cannot write " + path);
        }
        done += now > 0 ? static_cast<std::size_t>(now) : 0;
    }
    return {};
}

} // namespace

Result<Saved_state> State_file::load() const
{
    std::ifstream file(path_);
    if (!file) {
        if (errno == ENOENT) {
            return Saved_state{};
        }
        return fail_errno("cannot read " + path_);
    }
    std::ostringstream text;
    text << file.rdbuf();
    return parse(text.str(), path_);
}

Result<void> State_file::save(const Domain_table& domains, const Unsettled& rest) const
{
    Json json{{"domains", Json::array()},
              {"unfinished", rest.unfinished},
              {"restarts", Json::array()},
              {"foreign", Json::array()}};
    for (const auto& [id, domain] : domains.all()) {
        json["domains"].push_back(to_json(*domain));
    }
    for (const Saved_restart& restart : rest.restarts) {
        json["restarts"].push_back(to_json(restart));
    }
    for (const Saved_foreign& foreign : rest.foreign) {
        json["foreign"].push_back(to_json(foreign));
    }
    for (const Placed_image& placed : rest.placed) {
        json["placed"].push_back({{"image", placed.image}, {"aside", placed.aside}});
    }
    for (const Unread& unread : rest.unread) {
        json[unread.list].push_back(Json::parse(unread.json));
    }
    const std::string next = path_ + ".new";
    TRY(write_whole(next, json.dump(1) + "\n"));
    if (std::rename(next.c_str(), path_.c_str()) < 0) {
        return fail_errno("cannot replace " + path_);
    }
    return {};
}

void State_file::set_aside() const { std::rename(path_.c_str(), (path_ + ".bad").c_str()); }

} // namespace vmm
