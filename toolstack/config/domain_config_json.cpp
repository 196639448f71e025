// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/domain_config_json.hpp"
#include "toolstack/config/json_values.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace vmm::config
{

namespace
{

template <class Number>
Read read_number(const Json& value, Number& out)
{
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > std::numeric_limits<Number>::max())
        return std::unexpected("expected a whole number that is not negative");
    out = static_cast<Number>(value.get<std::uint64_t>());
    return {};
}

template <class Number>
Read read_number(const Json& value, std::optional<Number>& out)
{
    return read_number(value, out.emplace());
}

Read read_timeoffset(const Json& value, std::int64_t& out)
{
    if (!value.is_number_integer() ||
        (value.is_number_unsigned() && !std::in_range<std::int64_t>(value.get<std::uint64_t>())))
        return std::unexpected("expected a whole number");
    out = value.get<std::int64_t>();
    return {};
}

Read read_action(const Json& value, End_action& out)
{
    const auto action = value.is_string() ? parse_end_action(value.get<std::string>()) : std::nullopt;
    if (!action)
        return std::unexpected("expected \"destroy\", \"restart\", \"rename-restart\" or \"preserve\"");
    out = *action;
    return {};
}

Read read_uuid(const Json& value, std::optional<Uuid>& out)
{
    if (!value.is_string())
        return std::unexpected("expected a string");
    const auto uuid = Uuid::parse(value.get<std::string>());
    if (!uuid)
        return std::unexpected(uuid.error());
    out = *uuid;
    return {};
}

Read read_type(const Json& value, Domain_type& out)
{
    if (value != "pvh")
        return std::unexpected("expected \"pvh\"");
    out = Domain_type::pvh;
    return {};
}

Read read_generation_id(const Json& value, bool& out)
{
    if (value != "generate" && value != "none")
        return std::unexpected("expected \"generate\" or \"none\"");
    out = value == "generate";
    return {};
}

Read read_affinity(const Json& value, std::vector<Cpu_set>& out)
{
    if (!value.is_array())
        return std::unexpected("expected a list of strings");
    for (const auto& entry : value) {
        if (!entry.is_string())
            return std::unexpected("expected a list of strings");
        auto cpus = Cpu_set::parse(entry.get<std::string>());
        if (!cpus)
            return std::unexpected(cpus.error());
        out.push_back(std::move(*cpus));
    }
    return {};
}

Read read_cpuid(const Json& value, cpu::Wanted_features& out)
{
    if (!value.is_string())
        return std::unexpected("expected a string");
    auto wanted = cpu::Wanted_features::parse(value.get<std::string>());
    if (!wanted)
        return std::unexpected(std::move(wanted.error()));
    out = *std::move(wanted);
    return {};
}

Read read_vifs(const Json& value, std::vector<Vif_config>& out)
{
    if (!value.is_array())
        return std::unexpected("expected a list of strings");
    for (const auto& entry : value) {
        if (!entry.is_string())
            return std::unexpected("expected a list of strings");
        auto vif = parse_vif(entry.get<std::string>());
        if (!vif)
            return std::unexpected("entry " + std::to_string(out.size() + 1) + ": " + vif.error().message);
        out.push_back(std::move(*vif));
    }
    return {};
}

Read read_disks(const Json& value, std::vector<Disk>& out)
{
    if (!value.is_array())
        return std::unexpected("expected a list of objects");
    for (const auto& entry : value) {
        auto disk = disk_from_json(entry);
        if (!disk)
            return std::unexpected(std::move(disk.error()));
        out.push_back(*std::move(disk));
    }
    return {};
}

struct Field {
    const char* name;
    Read (*read)(const Json& value, Domain_config& config);
};

constexpr Field kFields[] = {
    {"name", [](const Json& v, Domain_config& c) { return read_text(v, c.name); }},
    {"uuid", [](const Json& v, Domain_config& c) { return read_uuid(v, c.uuid); }},
    {"type", [](const Json& v, Domain_config& c) { return read_type(v, c.type); }},
    {"ms_vm_genid", [](const Json& v, Domain_config& c) { return read_generation_id(v, c.generation_id); }},
    {"kernel", [](const Json& v, Domain_config& c) { return read_text(v, c.kernel); }},
    {"ramdisk", [](const Json& v, Domain_config& c) { return read_text(v, c.ramdisk); }},
    {"cmdline", [](const Json& v, Domain_config& c) { return read_text(v, c.cmdline); }},
    {"memory", [](const Json& v, Domain_config& c) { return read_number(v, c.memory_mib); }},
    {"maxmem", [](const Json& v, Domain_config& c) { return read_number(v, c.maxmem_mib); }},
    {"vcpus", [](const Json& v, Domain_config& c) { return read_number(v, c.vcpus); }},
    {"maxvcpus", [](const Json& v, Domain_config& c) { return read_number(v, c.maxvcpus); }},
    {"cpus", [](const Json& v, Domain_config& c) { return read_affinity(v, c.affinity); }},
    {"cpus_soft", [](const Json& v, Domain_config& c) { return read_affinity(v, c.soft_affinity); }},
    {"cpu_weight", [](const Json& v, Domain_config& c) { return read_number(v, c.cpu_weight); }},
    {"cap", [](const Json& v, Domain_config& c) { return read_number(v, c.cap); }},
    {"pool", [](const Json& v, Domain_config& c) { return read_text(v, c.pool); }},
    {"cpuid", [](const Json& v, Domain_config& c) { return read_cpuid(v, c.cpuid); }},
    {"max_event_channels",
     [](const Json& v, Domain_config& c) { return read_number(v, c.max_event_channels); }},
    {"max_grant_frames", [](const Json& v, Domain_config& c) { return read_number(v, c.max_grant_frames); }},
    {"max_maptrack_frames",
     [](const Json& v, Domain_config& c) { return read_number(v, c.max_maptrack_frames); }},
    {"localtime", [](const Json& v, Domain_config& c) { return read_flag(v, c.localtime); }},
    {"rtc_timeoffset", [](const Json& v, Domain_config& c) { return read_timeoffset(v, c.rtc_timeoffset); }},
    {"disk", [](const Json& v, Domain_config& c) { return read_disks(v, c.disks); }},
    {"on_poweroff", [](const Json& v, Domain_config& c) { return read_action(v, c.on_poweroff); }},
    {"on_reboot", [](const Json& v, Domain_config& c) { return read_action(v, c.on_reboot); }},
    {"on_crash", [](const Json& v, Domain_config& c) { return read_action(v, c.on_crash); }},
    {"on_watchdog", [](const Json& v, Domain_config& c) { return read_action(v, c.on_watchdog); }},
    {"vif", [](const Json& v, Domain_config& c) { return read_vifs(v, c.vifs); }},
};

Json affinity_json(const std::vector<Cpu_set>& sets)
{
    Json json = Json::array();
    for (const auto& cpus : sets)
        json.push_back(cpus.to_string());
    return json;
}

} // namespace

Json to_json(const Domain_config& config)
{
    Json json;
    json["name"] = config.name;
    if (config.uuid)
        json["uuid"] = config.uuid->to_string();
    json["type"] = to_string(config.type);
    if (config.generation_id)
        json["ms_vm_genid"] = "generate";
    json["kernel"] = config.kernel;
    if (!config.ramdisk.empty())
        json["ramdisk"] = config.ramdisk;
    json["cmdline"]    = config.cmdline;
    json["memory"]     = config.memory_mib;
    json["maxmem"]     = config.maxmem_mib;
    json["vcpus"]      = config.vcpus;
    json["maxvcpus"]   = config.maxvcpus;
    json["cpus"]       = affinity_json(config.affinity);
    json["cpus_soft"]  = affinity_json(config.soft_affinity);
    json["cpu_weight"] = config.cpu_weight;
    json["cap"]        = config.cap;
    if (!config.pool.empty())
        json["pool"] = config.pool;
    if (config.cpuid != cpu::Wanted_features())
        json["cpuid"] = config.cpuid.to_string();
    if (config.max_event_channels)
        json["max_event_channels"] = *config.max_event_channels;
    if (config.max_grant_frames)
        json["max_grant_frames"] = *config.max_grant_frames;
    if (config.max_maptrack_frames)
        json["max_maptrack_frames"] = *config.max_maptrack_frames;
    if (config.localtime)
        json["localtime"] = true;
    if (config.rtc_timeoffset != 0)
        json["rtc_timeoffset"] = config.rtc_timeoffset;
    json["disk"] = Json::array();
    for (const auto& disk : config.disks)
        json["disk"].push_back(to_json(disk));
    json["on_poweroff"] = to_string(config.on_poweroff);
    json["on_reboot"]   = to_string(config.on_reboot);
    json["on_crash"]    = to_string(config.on_crash);
    json["on_watchdog"] = to_string(config.on_watchdog);
    json["vif"]         = Json::array();
    for (const auto& vif : config.vifs)
        json["vif"].push_back(to_string(vif));
    return json;
}

std::expected<Domain_config, Problem> from_json(const Json& json)
{
    if (!json.is_object())
        return std::unexpected(Problem{"config", "expected a JSON object"});

    Domain_config config;
    for (const auto& [key, value] : json.items()) {
        const auto field = std::ranges::find_if(kFields, [&](const Field& f) { return key == f.name; });
        if (field == std::end(kFields))
            return std::unexpected(Problem{key, "is not a field of a domain config"});
        if (const auto result = field->read(value, config); !result)
            return std::unexpected(Problem{key, result.error()});
    }
    if (!json.contains("maxmem"))
        config.maxmem_mib = config.memory_mib;
    if (!json.contains("maxvcpus"))
        config.maxvcpus = config.vcpus;
    complete(config);
    if (auto valid = validate(config); !valid)
        return std::unexpected(std::move(valid.error()));
    return config;
}

} // namespace vmm::config
