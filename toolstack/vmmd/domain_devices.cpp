// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/domain_devices.hpp"

#include <algorithm>
#include <utility>

namespace vmm
{

namespace
{

using config::Domain_config;
using device::Json;

struct Numbered {
    unsigned number;
    Json spec;
};

// One class of device as a config has it.
struct Kind {
    const char* type;
    std::vector<Numbered> (*in)(const Domain_config& config);
    Result<Numbered> (*add)(Domain_config& config, const Json& spec);
    void (*remove)(Domain_config& config, unsigned number);
};

std::vector<Numbered> vifs_in(const Domain_config& config)
{
    std::vector<Numbered> vifs;
    for (const config::Vif_config& vif : config.vifs) {
        vifs.push_back({*vif.devid, config::to_string(vif)});
    }
    return vifs;
}

Result<Numbered> add_vif(Domain_config& config, const Json& spec)
{
    if (!spec.is_string()) {
        return fail(Errc::invalid, "an interface is a text such as \"bridge=br0\"");
    }
    auto vif = config::parse_vif(spec.get<std::string>());
    if (!vif) {
        return fail(Errc::invalid, vif.error().message);
    }
    config.vifs.push_back(*std::move(vif));
    config::complete(config);
    return Numbered{*config.vifs.back().devid, config::to_string(config.vifs.back())};
}

void remove_vif(Domain_config& config, unsigned number)
{
    std::erase_if(config.vifs, [&](const config::Vif_config& vif) { return vif.devid == number; });
}

constexpr Kind kKinds[] = {
    {"vif", vifs_in, add_vif, remove_vif},
};

const Kind* find_kind(const std::string& type)
{
    const auto* const found =
        std::ranges::find(kKinds, type, [](const Kind& kind) { return std::string(kind.type); });
    return found == std::end(kKinds) ? nullptr : found;
}

} // namespace

std::vector<device::Wanted> wanted_devices(Domid id, const Domain_config& config)
{
    std::vector<device::Wanted> wanted;
    for (const Kind& kind : kKinds) {
        for (Numbered& one : kind.in(config)) {
            wanted.push_back({{id, kind.type, one.number}, std::move(one.spec)});
        }
    }
    return wanted;
}

Result<Device_addition> add_device(Domid id, Domain_config config, const std::string& type, const Json& spec)
{
    const Kind* const kind = find_kind(type);
    if (kind == nullptr) {
        return fail(Errc::unsupported, "this vmmd has no devices of class \"" + type + "\"");
    }
    Numbered numbered = TRY(kind->add(config, spec));
    if (const auto valid = config::validate(config); !valid) {
        return fail(Errc::invalid, valid.error().to_string());
    }
    return Device_addition{{{id, type, numbered.number}, std::move(numbered.spec)}, std::move(config)};
}

Domain_config without_device(Domain_config config, const device::Address& address)
{
    if (const Kind* const kind = find_kind(address.type)) {
        kind->remove(config, address.number);
    }
    return config;
}

} // namespace vmm
