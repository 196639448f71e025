// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/domain_devices.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
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
    bool exists     = true;
    bool has_medium = false; // that may change
};

// One class of device as a config has it.
struct Kind {
    const char* type;
    std::vector<Numbered> (*in)(const Domain_config& config);
    Result<Numbered> (*put)(Domain_config& config, const Json& spec); // in place of what has its number
    void (*remove)(Domain_config& config, unsigned number);
};

std::vector<Numbered> vifs_in(const Domain_config& config)
{
    std::vector<Numbered> vifs;
    vifs.reserve(config.vifs.size());
    for (const config::Vif_config& vif : config.vifs) {
        vifs.push_back({*vif.devid, config::to_string(vif)});
    }
    return vifs;
}

void remove_vif(Domain_config& config, unsigned number)
{
    std::erase_if(config.vifs, [&](const config::Vif_config& vif) { return vif.devid == number; });
}

Result<Numbered> put_vif(Domain_config& config, const Json& spec)
{
    if (!spec.is_string()) {
        return fail(Errc::invalid, "an interface is a text such as \"bridge=br0\"");
    }
    auto vif = config::parse_vif(spec.get<std::string>());
    if (!vif) {
        return fail(Errc::invalid, vif.error().message);
    }
    if (vif->devid) {
        remove_vif(config, *vif->devid);
    }
    config.vifs.push_back(*std::move(vif));
    config::complete(config);
    return Numbered{*config.vifs.back().devid, config::to_string(config.vifs.back())};
}

Numbered numbered(const config::Disk& disk)
{
    return {disk.number(), config::write_disk(disk), !disk.is_empty(), disk.cdrom};
}

std::vector<Numbered> disks_in(const Domain_config& config)
{
    std::vector<Numbered> disks;
    std::ranges::transform(config.disks, std::back_inserter(disks), numbered);
    return disks;
}

void remove_disk(Domain_config& config, unsigned number)
{
    std::erase_if(config.disks, [&](const config::Disk& disk) { return disk.number() == number; });
}

Result<Numbered> put_disk(Domain_config& config, const Json& spec)
{
    if (!spec.is_string()) {
        return fail(Errc::invalid, "a disk is a text such as \"vdev=xvda, target=/srv/a.img\"");
    }
    const auto disk = config::parse_disk(spec.get<std::string>());
    if (!disk) {
        return fail(Errc::invalid, disk.error().message);
    }
    const auto same = std::ranges::find(config.disks, disk->number(), &config::Disk::number);
    if (same == config.disks.end()) {
        config.disks.push_back(*disk);
    } else {
        *same = *disk;
    }
    return numbered(*disk);
}

constexpr Kind kKinds[] = {
    {"vbd", disks_in, put_disk, remove_disk},
    {"vif", vifs_in, put_vif, remove_vif},
};

const Kind* find_kind(const std::string& type)
{
    const auto* const found =
        std::ranges::find(kKinds, type, [](const Kind& kind) { return std::string(kind.type); });
    return found == std::end(kKinds) ? nullptr : found;
}

Result<const Kind*> kind_of(const std::string& type)
{
    const Kind* const kind = find_kind(type);
    if (kind == nullptr) {
        return fail(Errc::unsupported, "this vmmd has no devices of class \"" + type + "\"");
    }
    return kind;
}

Configured configured(Domid id, const Kind& kind, Numbered one)
{
    return {{{id, kind.type, one.number}, std::move(one.spec)}, one.exists};
}

std::optional<Numbered> find_in(const Kind& kind, const Domain_config& config, unsigned number)
{
    const auto all   = kind.in(config);
    const auto found = std::ranges::find(all, number, &Numbered::number);
    return found == all.end() ? std::nullopt : std::optional(*found);
}

} // namespace

std::vector<Configured> configured_devices(Domid id, const Domain_config& config)
{
    std::vector<Configured> all;
    for (const Kind& kind : kKinds) {
        for (Numbered& one : kind.in(config)) {
            all.push_back(configured(id, kind, std::move(one)));
        }
    }
    return all;
}

std::vector<device::Wanted> wanted_devices(Domid id, const Domain_config& config)
{
    std::vector<device::Wanted> wanted;
    for (Configured& one : configured_devices(id, config)) {
        if (one.exists) {
            wanted.push_back(std::move(one.device));
        }
    }
    return wanted;
}

Result<Device_edit> add_device(Domid id, Domain_config config, const std::string& type, const Json& spec)
{
    const Kind& kind  = *TRY(kind_of(type));
    const auto before = config;
    Numbered one      = TRY(kind.put(config, spec));
    if (find_in(kind, before, one.number)) {
        return fail(Errc::exists, "the domain has such a device already (number " +
                                      std::to_string(one.number) + "): give this one another name");
    }
    if (const auto valid = config::validate(config); !valid) {
        return fail(Errc::invalid, valid.error().to_string());
    }
    return Device_edit{configured(id, kind, std::move(one)), std::move(config)};
}

Result<Device_edit> change_medium(Domid id, Domain_config config, const std::string& type, const Json& spec)
{
    const Kind& kind  = *TRY(kind_of(type));
    const auto before = config;
    Numbered one      = TRY(kind.put(config, spec));
    const auto old    = find_in(kind, before, one.number);
    if (!old || !old->has_medium || !one.has_medium) {
        return fail(Errc::invalid,
                    "the domain has no CD-ROM drive of that name: `xm block-list` shows what it has");
    }
    if (old->exists && one.exists) {
        return fail(Errc::exists, "the drive has a medium: eject it first");
    }
    return Device_edit{configured(id, kind, std::move(one)), std::move(config)};
}

Domain_config with_device(Domain_config config, const device::Wanted& device)
{
    if (const Kind* const kind = find_kind(device.address.type)) {
        Domain_config changed = config;
        if (kind->put(changed, device.spec) && config::validate(changed)) {
            return changed;
        }
    }
    return config;
}

Domain_config without_device(Domain_config config, const device::Address& address)
{
    if (const Kind* const kind = find_kind(address.type)) {
        kind->remove(config, address.number);
    }
    return config;
}

} // namespace vmm
