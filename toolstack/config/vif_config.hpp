// SPDX-License-Identifier: Apache-2.0
// One network interface of a domain as the administrator wants it: an entry of `vif = [...]`, in the language
// of xl-network-configuration(5), 'mac=00:16:3e:01:02:03,bridge=br0,rate=10Mb/s'. The text is also how it
// travels to vmmd and back, so there is one reader and one writer. It says nothing of whether the bridge
// exists.
#pragma once

#include "toolstack/config/ip_network.hpp"
#include "toolstack/config/mac_address.hpp"

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vmm::config
{

// The most that the domain may send: so many bytes in each interval, as netback counts them.
struct Vif_rate {
    std::uint64_t bytes_per_second = 0;
    std::uint32_t interval_us      = 50'000;

    [[nodiscard]] std::uint64_t bytes_per_interval() const;

    friend bool operator==(const Vif_rate&, const Vif_rate&) = default;
};

struct Vif_config {
    static constexpr unsigned kMax_devid           = 4095;
    static constexpr unsigned kMin_mtu             = 68;
    static constexpr unsigned kMax_mtu             = 65535;
    static constexpr std::size_t kMax_device_name  = 15; // IFNAMSIZ less its NUL
    static constexpr std::string_view kScripts_dir = "/etc/vmm/scripts/";

    enum class Link {
        nat,    // on the network that vmmd runs itself
        bridge, // a port of `bridge`
        route,  // dom0 routes `ip` to it
        script, // what `script` does, by the conventions of Xen's hotplug scripts
    };

    std::optional<unsigned> devid;  // complete_vifs() chooses what is missing
    std::optional<Mac_address> mac; // so here
    Link link = Link::nat;
    std::string bridge;
    std::string gatewaydev;
    std::string script;          // an absolute path
    std::string vifname;         // of the interface in dom0; empty: vifDOMID.DEVID
    std::vector<Ip_network> ips; // addresses the domain may use here; empty: any
    std::optional<Vif_rate> rate;
    std::optional<unsigned> mtu; // none: that of the bridge

    friend bool operator==(const Vif_config&, const Vif_config&) = default;
};

struct Bad_vif {
    std::size_t offset = 0; // of the field in the text
    std::string message;
};

// `remarks`, if given, gets what was ignored, as clauses.
[[nodiscard]] std::expected<Vif_config, Bad_vif> parse_vif(std::string_view text,
                                                           std::vector<std::string>* remarks = nullptr);
[[nodiscard]] std::string to_string(const Vif_config& vif);

// Gives each interface a device number and an address where it has none; `seed` stands for the domain.
void complete_vifs(std::span<Vif_config> vifs, std::string_view seed);

// What one interface alone cannot tell: no device number, address or name twice. The error is a clause.
[[nodiscard]] std::expected<void, std::string> check_vifs(std::span<const Vif_config> vifs);

} // namespace vmm::config
