// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/domain_config.hpp"

#include "toolstack/config/shown.hpp"
#include "toolstack/config/utf8.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace vmm::config
{

namespace
{

constexpr std::array<std::pair<End_action, std::string_view>, 4> kEnd_actions{{
    {End_action::destroy, "destroy"},
    {End_action::restart, "restart"},
    {End_action::rename_restart, "rename-restart"},
    {End_action::preserve, "preserve"},
}};

constexpr bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-' || c == '+';
}

template <class Number>
Checked check_range(Number value, Number low, Number high, std::string_view unit)
{
    if (value >= low && value <= high)
        return {};
    return std::unexpected(std::to_string(value) + " is out of range, give " + std::to_string(low) + " to " +
                           std::to_string(high) + std::string{unit});
}

Checked check_text(std::string_view what, std::string_view text, std::size_t longest)
{
    if (text.size() > longest)
        return std::unexpected(std::string{what} + " of " + std::to_string(text.size()) +
                               " characters is too long, at most " + std::to_string(longest) + " fit");
    if (text.find('\0') != std::string_view::npos)
        return std::unexpected(std::string{what} + " has a NUL character in it");
    if (!is_utf8(text)) // strings end up in JSON, which is UTF-8 by definition
        return std::unexpected(std::string{what} + " is not valid UTF-8");
    return {};
}

std::expected<void, Problem> check_disks(const std::vector<Disk>& disks)
{
    for (auto disk = disks.begin(); disk != disks.end(); ++disk) {
        if (const auto good = check_disk(*disk); !good)
            return std::unexpected(Problem{"disk", good.error()});
        const auto same =
            std::find_if(disks.begin(), disk, [&](const Disk& d) { return d.number() == disk->number(); });
        if (same != disk)
            return std::unexpected(Problem{"disk", "two disks are called \"" + shown(disk->vdev) +
                                                       "\": give each its own vdev"});
    }
    return {};
}

} // namespace

std::string_view to_string(End_action action)
{
    const auto it = std::ranges::find(kEnd_actions, action, &decltype(kEnd_actions)::value_type::first);
    return it->second;
}

std::optional<End_action> parse_end_action(std::string_view text)
{
    const auto it = std::ranges::find(kEnd_actions, text, &decltype(kEnd_actions)::value_type::second);
    if (it == kEnd_actions.end())
        return std::nullopt;
    return it->first;
}

std::string_view to_string(Domain_type) { return "pvh"; }

Checked check_name(std::string_view name)
{
    static constexpr std::string_view kRule = "a name has 1 to 63 letters, digits and . _ - +";
    if (name.empty())
        return std::unexpected("is empty: " + std::string{kRule});
    if (name.size() > Limits::kMax_name_length)
        return std::unexpected("has " + std::to_string(name.size()) + " characters: " + std::string{kRule});
    if (const auto bad = std::ranges::find_if_not(name, is_name_character); bad != name.end())
        return std::unexpected("has " + shown(*bad) + " at character " +
                               std::to_string(bad - name.begin() + 1) + ": " + std::string{kRule});
    if (name.front() == '-')
        return std::unexpected("begins with '-', which a command would take for an option");
    if (std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; }))
        return std::unexpected("has only digits, which a command would take for a domain id");
    return {};
}

Checked check_memory_mib(std::uint64_t mib)
{
    return check_range(mib, Limits::kMin_memory_mib, Limits::kMax_memory_mib, " (MiB)");
}

Checked check_vcpus(std::uint64_t count)
{
    return check_range(count, Limits::kMin_vcpus, Limits::kMax_vcpus, "");
}

Checked check_cpu_weight(std::uint64_t weight)
{
    return check_range(weight, Limits::kMin_cpu_weight, Limits::kMax_cpu_weight, "");
}

// More than all its vCPUs can use is no limit, and most likely a mistake.
Checked check_cap(std::uint64_t percent, std::uint64_t vcpus)
{
    return check_range<std::uint64_t>(percent, 0, vcpus * Limits::kMax_cap_per_vcpu,
                                      " (percent of one CPU; 0 is no limit)");
}

// Also a number, as tools of Xen allow.
Checked check_pool(std::string_view name)
{
    const bool number =
        !name.empty() && std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
    return name.empty() || number ? check_text("a pool's name", name, Limits::kMax_name_length)
                                  : check_name(name);
}

Checked check_event_channels(std::uint64_t count)
{
    return check_range(count, Limits::kMin_event_channels, Limits::kMax_event_channels, "");
}

// The tools' own grants are in the first.
Checked check_grant_frames(std::uint64_t count)
{
    return check_range<std::uint64_t>(count, 1, Limits::kMax_grant_frames, "");
}

Checked check_maptrack_frames(std::uint64_t count)
{
    return check_range<std::uint64_t>(count, 0, Limits::kMax_maptrack_frames, "");
}

Checked check_timeoffset(std::int64_t seconds)
{
    return check_range(seconds, -Limits::kMax_timeoffset, Limits::kMax_timeoffset, " (seconds)");
}

Checked check_path(std::string_view path) { return check_text("a path", path, Limits::kMax_path_length); }

Checked check_cmdline(std::string_view cmdline)
{
    return check_text("a command line", cmdline, Limits::kMax_cmdline_length);
}

void complete(Domain_config& config)
{
    complete_vifs(config.vifs, config.uuid ? config.uuid->to_string() : "name:" + config.name);
}

std::expected<void, Problem> validate(const Domain_config& config)
{
    const std::pair<const char*, Checked> checks[] = {
        {"name", check_name(config.name)},
        {"kernel", config.kernel.empty()
                       ? Checked{std::unexpected("is missing: say which kernel the domain boots")}
                       : check_path(config.kernel)},
        {"ramdisk", check_path(config.ramdisk)},
        {"cmdline", check_cmdline(config.cmdline)},
        {"memory", check_memory_mib(config.memory_mib)},
        {"maxmem", check_memory_mib(config.maxmem_mib)},
        {"vcpus", check_vcpus(config.vcpus)},
        {"maxvcpus", check_vcpus(config.maxvcpus)},
        {"cpu_weight", check_cpu_weight(config.cpu_weight)},
        {"cap", check_cap(config.cap, std::min<std::uint64_t>(config.maxvcpus, Limits::kMax_vcpus))},
        {"pool", check_pool(config.pool)},
        {"max_event_channels",
         check_event_channels(config.max_event_channels.value_or(Limits::kMax_event_channels))},
        {"max_grant_frames", check_grant_frames(config.max_grant_frames.value_or(Limits::kMax_grant_frames))},
        {"max_maptrack_frames", check_maptrack_frames(config.max_maptrack_frames.value_or(0))},
        {"rtc_timeoffset", check_timeoffset(config.rtc_timeoffset)},
        {"vif", check_vifs(config.vifs)},
    };
    for (const auto& [key, result] : checks)
        if (!result)
            return std::unexpected(Problem{key, result.error()});

    if (config.maxmem_mib < config.memory_mib)
        return std::unexpected(Problem{"maxmem", std::to_string(config.maxmem_mib) +
                                                     " is less than memory (" +
                                                     std::to_string(config.memory_mib) + ")"});
    if (config.maxvcpus < config.vcpus)
        return std::unexpected(Problem{"maxvcpus", std::to_string(config.maxvcpus) + " is less than vcpus (" +
                                                       std::to_string(config.vcpus) + ")"});
    for (const auto& [key, sets] :
         {std::pair{"cpus", &config.affinity}, std::pair{"cpus_soft", &config.soft_affinity}})
        if (sets->size() > config.maxvcpus)
            return std::unexpected(Problem{key, "has " + std::to_string(sets->size()) + " entries for " +
                                                    std::to_string(config.maxvcpus) + " vCPUs"});
    return check_disks(config.disks);
}

} // namespace vmm::config
