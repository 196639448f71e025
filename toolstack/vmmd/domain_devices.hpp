// SPDX-License-Identifier: Apache-2.0
#pragma once
// Between a domain's config and its devices: which ones the config asks for, and how the config changes when
// one comes or goes at run time, so that a restart brings back what was there. One line per class of device
// in the table of domain_devices.cpp; what a class does is in its own room.

#include "toolstack/base/error.hpp"
#include "toolstack/config/domain_config.hpp"
#include "toolstack/device/devices.hpp"

#include <string>
#include <vector>

namespace vmm
{

[[nodiscard]] std::vector<device::Wanted> wanted_devices(Domid id, const config::Domain_config& config);

// Those too that stand for nothing in dom0 at the moment: a drive without a medium.
struct Configured {
    device::Wanted device;
    bool exists = true;
};
[[nodiscard]] std::vector<Configured> configured_devices(Domid id, const config::Domain_config& config);

// What was asked for at run time, checked and numbered, and the config with it, changed in this copy only.
struct Device_edit {
    Configured configured;
    config::Domain_config config;
};
[[nodiscard]] Result<Device_edit> add_device(Domid id, config::Domain_config config, const std::string& type,
                                             const device::Json& spec);
// Another medium, or none, for a drive that the config has.
[[nodiscard]] Result<Device_edit> change_medium(Domid id, config::Domain_config config,
                                                const std::string& type, const device::Json& spec);

// The config with it, in place of what has its number.
[[nodiscard]] config::Domain_config with_device(config::Domain_config config, const device::Wanted& device);
// The config without it. A device that the config does not have is no error.
[[nodiscard]] config::Domain_config without_device(config::Domain_config config,
                                                   const device::Address& address);

} // namespace vmm
