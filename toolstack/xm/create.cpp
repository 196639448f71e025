// SPDX-License-Identifier: Apache-2.0
// create: from a file and overrides to a running domain, perhaps with its console.
#include "toolstack/xm/command.hpp"

#include "toolstack/config/domain_config_json.hpp"
#include "toolstack/config/interpret.hpp"
#include "toolstack/config/write.hpp"
#include "toolstack/xm/config_path.hpp"
#include "toolstack/xm/console.hpp"

#include <boost/program_options/value_semantic.hpp>

#include <algorithm>

namespace vmm::xm
{

namespace
{

bool is_override(const std::string& word) { return word.find('=') != std::string::npos; }

// FILE may also come with -f, as in xl; a word with '=' is never one.
Outcome<config::Domain_config> read_config(const Invocation& invocation)
{
    auto file                          = invocation.option<std::string>("file");
    std::vector<std::string> overrides = invocation.words();
    if (!file && !overrides.empty() && !is_override(overrides.front())) {
        file = overrides.front();
        overrides.erase(overrides.begin());
    }
    if (const auto stray = std::ranges::find_if_not(overrides, is_override); stray != overrides.end())
        return usage_error("\"" + *stray + "\" is neither the one config file nor KEY=VALUE");
    if (!file && overrides.empty())
        return usage_error("expected a config file or KEY=VALUE; 'xm help create' shows how");

    auto path = file ? std::optional{TRY(find_config(*file))} : std::nullopt;
    auto read = config::load(path, overrides);
    if (!read)
        return config_error(read.error().to_string());
    if (!invocation.has("quiet"))
        for (const auto& warning : read->warnings)
            invocation.warn(warning.to_string());
    return std::move(read->config);
}

} // namespace

void create_options(Options& options)
{
    options.add_options()("console,c", "attach to its console")("paused,p", "leave it paused")(
        "dry-run,n", "only check the configuration, and print it with all defaults")(
        "quiet,q", "print no warnings and no word of success")(
        "file,f", boost::program_options::value<std::string>()->value_name("FILE"), "the configuration file");
}

Outcome<> create(Invocation& invocation)
{
    const auto config  = TRY(read_config(invocation));
    const auto as_json = config::to_json(config);
    if (invocation.has("dry-run")) {
        if (!invocation.print_json(as_json))
            invocation.out() << config::write(config);
        return {};
    }
    const auto answer = TRY(
        invocation.call(control::op::create, {{"config", as_json}, {"paused", invocation.has("paused")}}));
    const auto id = std::to_string(TRY(number_field(answer, "domid")));
    if (!invocation.print_json(answer) && !invocation.has("quiet"))
        invocation.out() << config.name << " has been created with id " << id << '\n';
    if (invocation.has("console"))
        return attach_console(invocation, id);
    return {};
}

} // namespace vmm::xm
