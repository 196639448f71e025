// SPDX-License-Identifier: Apache-2.0
#include "toolstack/save/saved_domain.hpp"

#include "toolstack/config/domain_config_json.hpp"

#include <algorithm>
#include <limits>

namespace vmm::save
{

namespace
{

using config::Json;

constexpr std::uint64_t kMostKib  = config::Limits::kMax_memory_mib * 1024;
constexpr std::size_t kMostLeaves = 512;

std::unexpected<Error> wrong(const std::string& why)
{
    return fail(Errc::invalid, "the description of the saved domain is wrong: " + why);
}

Result<const Json*> find(const Json& json, const char* field)
{
    const auto found = json.find(field);
    if (found == json.end()) {
        return wrong(std::string("it has no field '") + field + "'");
    }
    return &*found;
}

Result<std::uint64_t> number(const Json& json, const char* field, std::uint64_t least, std::uint64_t most)
{
    const Json& value = *TRY(find(json, field));
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() < least ||
        value.get<std::uint64_t>() > most) {
        return wrong(std::string("'") + field + "' is not a whole number from " + std::to_string(least) +
                     " to " + std::to_string(most));
    }
    return value.get<std::uint64_t>();
}

Result<std::string> text(const Json& json, const char* field)
{
    const Json& value = *TRY(find(json, field));
    if (!value.is_string()) {
        return wrong(std::string("'") + field + "' is not a string");
    }
    return value.get<std::string>();
}

Result<Evtchn_port> port(const Json& json, const char* field)
{
    constexpr std::uint64_t kPorts = 1 << 17; // of the FIFO interface, the larger of the two
    return Evtchn_port{static_cast<std::uint32_t>(TRY(number(json, field, 1, kPorts - 1)))};
}

bool is_word(const Json& value)
{
    return value.is_number_unsigned() &&
           value.get<std::uint64_t>() <= std::numeric_limits<std::uint32_t>::max();
}

Json policy_to_json(const cpu::Cpu_policy& policy)
{
    Json list = Json::array();
    for (const cpu::Leaf& l : policy) {
        list.push_back({l.leaf, l.subleaf, l.eax, l.ebx, l.ecx, l.edx});
    }
    return list;
}

Result<cpu::Cpu_policy> policy_of(const Json& json)
{
    const Json& list = *TRY(find(json, "cpu_policy"));
    if (!list.is_array() || list.size() > kMostLeaves) {
        return wrong("'cpu_policy' is not a list of at most " + std::to_string(kMostLeaves) + " leaves");
    }
    cpu::Cpu_policy policy;
    for (const Json& entry : list) {
        if (!entry.is_array() || entry.size() != 6 || !std::ranges::all_of(entry, is_word)) {
            return wrong("'cpu_policy' has an entry that is not six 32-bit numbers");
        }
        const auto word = [&](std::size_t i) { return entry[i].get<std::uint32_t>(); };
        policy.push_back({word(0), word(1), word(2), word(3), word(4), word(5)});
    }
    return policy;
}

Json disks_to_json(const std::vector<Frozen_disk>& disks)
{
    Json list = Json::array();
    for (const Frozen_disk& disk : disks) {
        list.push_back({{"vdev", disk.vdev}, {"base", disk.base}});
    }
    return list;
}

Result<std::vector<Frozen_disk>> disks_of(const Json& json)
{
    const auto list = json.find("disks");
    std::vector<Frozen_disk> disks;
    if (list == json.end()) {
        return disks;
    }
    if (!list->is_array()) {
        return wrong("'disks' is not a list");
    }
    for (const Json& entry : *list) {
        if (!entry.is_object()) {
            return wrong("'disks' has an entry that is not an object");
        }
        Frozen_disk disk{TRY(text(entry, "vdev")), TRY(text(entry, "base"))};
        if (!disk.base.starts_with('/')) {
            return wrong("'disks' has a path that is not absolute");
        }
        disks.push_back(std::move(disk));
    }
    return disks;
}

Result<config::Domain_config> config_of(const Json& json)
{
    auto config = config::from_json(*TRY(find(json, "config")));
    if (!config) {
        return wrong("its configuration: " + config.error().to_string());
    }
    return *std::move(config);
}

Result<config::Uuid> uuid_of(const Json& json)
{
    const auto uuid = config::Uuid::parse(TRY(text(json, "uuid")));
    if (!uuid) {
        return wrong("'uuid': " + uuid.error());
    }
    return *uuid;
}

Result<std::optional<config::Generation_id>> generation_of(const Json& json)
{
    if (!json.contains("generation_id")) {
        return std::nullopt;
    }
    const auto id = config::Generation_id::parse(TRY(text(json, "generation_id")));
    if (!id) {
        return wrong("'generation_id' is not two numbers of 64 bits with a colon between them");
    }
    return id;
}

} // namespace

std::vector<std::byte> encode(const Saved_domain& domain)
{
    Json json;
    json["config"] = config::to_json(domain.config);
    json["uuid"]   = domain.uuid.to_string();
    if (domain.generation) {
        json["generation_id"] = domain.generation->to_string();
    }
    json["static_max_kib"] = domain.static_max_kib;
    json["target_kib"]     = domain.target_kib;
    json["overhead_kib"]   = domain.overhead_kib;
    json["store_port"]     = raw(domain.store_port);
    json["console_port"]   = raw(domain.console_port);
    json["memory_kib"]     = domain.memory_kib;
    json["saved_at"]       = domain.saved_at;
    json["hypervisor"]     = domain.hypervisor;
    json["cpu_policy"]     = policy_to_json(domain.cpu_policy);
    if (!domain.disks.empty()) {
        json["disks"] = disks_to_json(domain.disks);
    }
    const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
    const auto bytes       = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

Result<Saved_domain> decode(std::span<const std::byte> payload)
{
    const auto* const begin = reinterpret_cast<const char*>(payload.data());
    const Json json         = Json::parse(begin, begin + payload.size(), nullptr, false);
    if (!json.is_object()) {
        return wrong("it is not a JSON object");
    }
    Saved_domain domain;
    domain.config         = TRY(config_of(json));
    domain.uuid           = TRY(uuid_of(json));
    domain.generation     = TRY(generation_of(json));
    domain.static_max_kib = TRY(number(json, "static_max_kib", 1, kMostKib));
    domain.target_kib     = TRY(number(json, "target_kib", 1, domain.static_max_kib));
    domain.overhead_kib   = TRY(number(json, "overhead_kib", 0, kMostKib));
    domain.store_port     = TRY(port(json, "store_port"));
    domain.console_port   = TRY(port(json, "console_port"));
    domain.memory_kib     = TRY(number(json, "memory_kib", 1, domain.static_max_kib + domain.overhead_kib));
    domain.saved_at =
        static_cast<std::int64_t>(TRY(number(json, "saved_at", 0, std::numeric_limits<std::int64_t>::max())));
    domain.hypervisor = TRY(text(json, "hypervisor"));
    domain.cpu_policy = TRY(policy_of(json));
    domain.disks      = TRY(disks_of(json));
    return domain;
}

} // namespace vmm::save
