// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/settings.hpp"

#include "toolstack/config/nearest.hpp"
#include "toolstack/config/syntax.hpp"
#include "toolstack/net/nat_network.hpp"

#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string_view>
#include <vector>

namespace vmm
{

namespace
{

constexpr const char* kDefaultPath = "/etc/vmm/vmmd.conf";

struct Number_setting {
    std::uint64_t Settings::*member;
    std::uint64_t least;
    std::uint64_t most;
};

Result<void> check_log_level(const std::string& text)
{
    TRY(log::parse_level(text));
    return {};
}

Result<void> check_gateway(const std::string& text)
{
    TRY(net::Nat_settings::parse_gateway(text));
    return {};
}

struct Text_setting {
    std::string Settings::*member;
    Result<void> (*check)(const std::string& text) = nullptr; // none: any text will do
};

const std::map<std::string_view, Text_setting> kTexts{
    {"socket", {&Settings::socket}},
    {"store_socket", {&Settings::store_socket}},
    {"store_journal", {&Settings::store_journal}},
    {"state_file", {&Settings::state_file}},
    {"pidfile", {&Settings::pidfile}},
    {"log_file", {&Settings::log_file}},
    {"log_level", {&Settings::log_level, check_log_level}},
    {"console_log_directory", {&Settings::console_log_directory}},
    {"nat_bridge", {&Settings::nat_bridge}},
    {"nat_address", {&Settings::nat_address, check_gateway}},
    {"dnsmasq", {&Settings::dnsmasq}}};

const std::map<std::string_view, Number_setting> kNumbers{
    {"console_log_kib", {&Settings::console_log_kib, 4, 1U << 20}},
    {"console_log_old_files", {&Settings::console_log_old_files, 0, 99}}};

std::string unknown_key(const std::string& key)
{
    std::vector<std::string_view> known;
    known.reserve(kTexts.size() + kNumbers.size());
    for (const auto& [name, member] : kTexts) {
        known.push_back(name);
    }
    for (const auto& [name, member] : kNumbers) {
        known.push_back(name);
    }
    const auto near = config::nearest(key, known);
    return "unknown key \"" + key + "\"" + (near ? "; did you mean \"" + std::string(*near) + "\"?" : "");
}

Result<void> apply(Settings& settings, const config::Setting& setting)
{
    const auto wrong = [&](const std::string& why) {
        return fail(Errc::invalid, setting.value.place() + ": " + setting.key + ": " + why);
    };
    if (const auto text = kTexts.find(setting.key); text != kTexts.end()) {
        const auto* value = std::get_if<std::string>(&setting.value.what);
        if (value == nullptr) {
            return wrong("expected a string in quotes");
        }
        const auto& [member, check] = text->second;
        if (check != nullptr) {
            if (const auto right = check(*value); !right) {
                return wrong(right.error().message);
            }
        }
        settings.*member = *value;
        return {};
    }
    if (const auto number = kNumbers.find(setting.key); number != kNumbers.end()) {
        const auto* value           = std::get_if<config::Number>(&setting.value.what);
        const Number_setting& range = number->second;
        if (value == nullptr || value->value < range.least || value->value > range.most) {
            return wrong("expected a number from " + std::to_string(range.least) + " to " +
                         std::to_string(range.most));
        }
        settings.*(range.member) = value->value;
        return {};
    }
    return fail(Errc::invalid, setting.key_place() + ": " + unknown_key(setting.key));
}

Result<std::optional<std::string>> read_file(const std::string& path)
{
    std::ifstream file(path);
    if (!file) {
        if (errno == ENOENT) {
            return std::nullopt;
        }
        return fail_errno("cannot read " + path);
    }
    std::ostringstream text;
    text << file.rdbuf();
    return std::move(text).str();
}

// The command line, in order; the configuration file is applied before.
struct Arguments {
    Start start = Start::run;
    std::optional<std::string> config;
    std::vector<std::pair<std::string Settings::*, std::string>> texts;
    bool background = false;
};

Result<Arguments> parse_arguments(std::span<char* const> arguments)
{
    static const std::map<std::string_view, std::string Settings::*> kOptions{
        {"--socket", &Settings::socket},
        {"--store-socket", &Settings::store_socket},
        {"--store-journal", &Settings::store_journal},
        {"--pidfile", &Settings::pidfile},
        {"--state-file", &Settings::state_file},
        {"--log-file", &Settings::log_file},
        {"--log-level", &Settings::log_level}};
    Arguments parsed;
    for (std::size_t i = 1; i < arguments.size(); ++i) {
        const std::string_view argument = arguments[i];
        const std::size_t equals        = argument.find('=');
        const std::string_view name     = argument.substr(0, equals);
        const auto option               = kOptions.find(name);
        if (name == "--help" || name == "-h") {
            parsed.start = Start::help;
        } else if (name == "--version") {
            parsed.start = Start::version;
        } else if (name == "--foreground") {
            parsed.background = false;
        } else if (name == "--background") {
            parsed.background = true;
        } else if (option != kOptions.end() || name == "--config") {
            if (equals == argument.npos && ++i == arguments.size()) {
                return fail(Errc::invalid, std::string(name) + " needs a value");
            }
            const std::string value(equals == argument.npos ? std::string_view(arguments[i])
                                                            : argument.substr(equals + 1));
            if (option == kOptions.end()) {
                parsed.config = value;
            } else {
                parsed.texts.emplace_back(option->second, value);
            }
        } else {
            return fail(Errc::invalid,
                        "unknown argument \"" + std::string(argument) + "\"; vmmd --help lists them");
        }
    }
    return parsed;
}

} // namespace

Result<void> apply_settings_text(Settings& settings, const std::string& path, std::string_view text)
{
    const auto parsed = config::parse_settings({config::Source::Kind::file, path}, text);
    if (!parsed) {
        return fail(Errc::invalid, parsed.error().to_string());
    }
    for (const config::Setting& setting : *parsed) {
        TRY(apply(settings, setting));
    }
    return {};
}

Result<Command_line> read_settings(std::span<char* const> arguments)
{
    const Arguments given = TRY(parse_arguments(arguments));
    Command_line line;
    line.start = given.start;
    if (line.start != Start::run) {
        return line;
    }
    const std::string path = given.config.value_or(kDefaultPath);
    const auto text        = TRY(read_file(path));
    if (!text && given.config) {
        return fail(Errc::not_found, "there is no configuration file " + path);
    }
    TRY(apply_settings_text(line.settings, path, text.value_or("")));
    for (const auto& [member, value] : given.texts) {
        line.settings.*member = value;
    }
    line.settings.background = given.background;
    TRY(log::parse_level(line.settings.log_level));
    return line;
}

std::string usage()
{
    return "usage: vmmd [options]\n"
           "The daemon of dom0: the store, the consoles and the life of the domains. xm talks to it.\n"
           "  --config FILE        settings to use instead of /etc/vmm/vmmd.conf\n"
           "  --socket PATH        where xm connects (/run/vmm/vmmd.sock)\n"
           "  --store-socket PATH  where xenstore clients connect (/run/xenstored/socket)\n"
           "  --store-journal PATH what a restarted vmmd finds the store by (/run/vmm/store.journal)\n"
           "  --state-file PATH    what a restarted vmmd finds its domains by (/run/vmm/domains.json)\n"
           "  --pidfile PATH       its process id, locked while it runs (/run/vmm/vmmd.pid)\n"
           "  --log-file PATH      its own log, besides standard error\n"
           "  --log-level LEVEL    debug, info, warning or error (info)\n"
           "  --foreground         stay attached to the terminal (the default)\n"
           "  --background         return once it is ready\n"
           "  --help, --version\n";
}

} // namespace vmm
