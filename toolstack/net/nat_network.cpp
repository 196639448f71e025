// SPDX-License-Identifier: Apache-2.0
#include "toolstack/net/nat_network.hpp"

#include "toolstack/base/log.hpp"
#include "toolstack/net/sysctl.hpp"

#include <utility>

namespace vmm::net
{

Result<config::Ip_network> Nat_settings::parse_gateway(const std::string& text)
{
    const auto gateway = config::Ip_network::parse(text);
    if (!gateway) {
        return fail(Errc::invalid, gateway.error());
    }
    const auto network = gateway->network();
    if (gateway->is_v6 || gateway->prefix < 8 || gateway->prefix > 30 || gateway->bytes == network.bytes) {
        return fail(Errc::invalid,
                    "\"" + text +
                        "\": expected dom0's own IPv4 address and a prefix from 8 to 30, as in "
                        "10.76.0.1/24");
    }
    return *gateway;
}

Nat_network::Nat_network(Event_loop& loop, Links& links, Nat_settings settings)
    : links_(links), settings_(std::move(settings)), leases_(settings_.gateway),
      dnsmasq_(loop, {settings_.dnsmasq, settings_.directory, settings_.bridge, settings_.gateway})
{
}

Result<void> Nat_network::bring_up()
{
    if (settings_.bridge.empty()) {
        return fail(Errc::unsupported,
                    "the NAT network is turned off: set nat_bridge in /etc/vmm/vmmd.conf, or "
                    "give bridge=NAME");
    }
    const auto link = TRY(links_.find(settings_.bridge));
    if (link && !link->is_bridge) {
        return fail(Errc::exists, "the NAT network needs the name " + settings_.bridge +
                                      ", which a device that is no bridge has: set nat_bridge in "
                                      "/etc/vmm/vmmd.conf");
    }
    if (!link) {
        // An address of its own: else it would take that of its ports, and change with them.
        auto mac     = config::Mac_address::generated("bridge:" + settings_.bridge, 0);
        mac.bytes[0] = 0x02;
        TRY(links_.make_bridge(settings_.bridge, mac));
    }
    TRY(links_.add_address(settings_.bridge, settings_.gateway));
    TRY(links_.set_up(settings_.bridge));
    TRY(set_sysctl("ipv4/ip_forward", "1"));
    if (!std::exchange(is_up_, true)) {
        log::info("the NAT network is " + settings_.gateway.network().to_string() + " on " +
                  settings_.bridge);
    }
    return {};
}

Result<config::Ip_network> Nat_network::join(const std::string& key, const config::Mac_address& mac,
                                             const std::string& name,
                                             const std::optional<config::Ip_network>& wanted)
{
    // Each time: someone may have taken the bridge away meanwhile.
    TRY(bring_up());
    const auto ip     = TRY(leases_.take(key, mac, name, wanted));
    const auto served = dnsmasq_.serve(leases_);
    if (!served) {
        leases_.give_back(key);
        return std::unexpected(served.error());
    }
    return ip;
}

void Nat_network::leave(const std::string& key)
{
    if (!leases_.give_back(key)) {
        return;
    }
    if (const auto served = dnsmasq_.serve(leases_); !served) {
        log::error(served.error().message);
    }
}

} // namespace vmm::net
