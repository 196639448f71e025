// SPDX-License-Identifier: Apache-2.0
// fork: a second domain out of one that runs. Its configuration is the parent's, without what a domain has
// for itself alone, and with what the command line says.
#include "toolstack/xm/command.hpp"

#include "toolstack/config/domain_config_json.hpp"
#include "toolstack/config/interpret.hpp"
#include "toolstack/config/write.hpp"

#include <filesystem>
#include <iterator>

namespace vmm::xm
{

namespace
{

Outcome<config::Domain_config> config_of(Invocation& invocation, const std::string& domain)
{
    const auto answer =
        TRY(invocation.call(control::op::list, {{"domains", Json::array({domain})}, {"long", true}}));
    const auto rows = TRY(list_field(answer, "domains"));
    if (rows.empty() || !rows[0].contains("config"))
        return config_error("\"" + domain + "\" was not made by vmmd and cannot be forked");
    auto config = config::from_json(rows[0]["config"]);
    if (!config)
        return config_error("vmmd tells a configuration that this xm does not know: " +
                            config.error().to_string());
    return *std::move(config);
}

// Addresses and the names of interfaces in dom0 are chosen anew.
config::Domain_config fresh(config::Domain_config config, const std::string& name, bool no_disks)
{
    config.name = name;
    config.uuid.reset();
    for (config::Vif_config& vif : config.vifs) {
        vif.mac.reset();
        vif.vifname.clear();
    }
    if (no_disks)
        config.disks.clear();
    return config;
}

Outcome<config::Domain_config> with_overrides(const Invocation& invocation,
                                              const config::Domain_config& config)
{
    auto settings = config::parse_settings({config::Source::Kind::file, config.name}, config::write(config));
    const auto& words = invocation.words();
    for (std::size_t i = 2; settings && i < words.size(); ++i) {
        auto more = config::parse_settings({config::Source::Kind::argument, words[i]}, words[i]);
        if (!more)
            return config_error(more.error().to_string());
        std::ranges::move(*more, std::back_inserter(*settings));
    }
    if (!settings)
        return config_error(settings.error().to_string());
    std::error_code error;
    const auto directory = std::filesystem::current_path(error);
    auto read            = config::interpret(*settings, config.name, error ? "/" : directory.string());
    if (!read)
        return config_error(read.error().to_string());
    return std::move(read->config);
}

} // namespace

void fork_options(Options& options)
{
    options.add_options()("paused,p", "leave the new domain paused")("no-disks", "give it no disks")(
        "overcommit", "set no memory aside for what the two will write");
}

Outcome<> fork(Invocation& invocation)
{
    const auto parent = TRY(config_of(invocation, invocation.word(0)));
    const auto config =
        TRY(with_overrides(invocation, fresh(parent, invocation.word(1), invocation.has("no-disks"))));
    const auto answer =
        TRY(invocation.call(control::op::fork, {{"domain", invocation.word(0)},
                                                {"config", config::to_json(config)},
                                                {"paused", invocation.has("paused")},
                                                {"overcommit", invocation.has("overcommit")}}));
    const auto id = std::to_string(TRY(number_field(answer, "domid")));
    if (invocation.print_json(answer))
        return {};
    invocation.out() << parent.name << " has been forked into " << config.name << " with id " << id << '\n';
    for (const Json& disk : TRY(list_field(answer, "disks")))
        invocation.out() << "disk " << TRY(text_field(disk, "vdev")) << " of " << config.name << " is "
                         << TRY(text_field(disk, "target")) << '\n';
    return {};
}

} // namespace vmm::xm
