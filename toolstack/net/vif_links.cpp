// SPDX-License-Identifier: Apache-2.0
// What an interface's device in dom0 is made a part of: its bridge or its routes, and the rules for what
// comes out of it.
#include "toolstack/base/log.hpp"
#include "toolstack/net/sysctl.hpp"
#include "toolstack/net/vif_class.hpp"

#include <set>

namespace vmm::net
{

using Link_kind = config::Vif_config::Link;
using device::Address;

Result<void> Vif_class::check_bridge(const std::string& bridge)
{
    const auto link = TRY(links_->find(bridge));
    if (!link || !link->is_bridge) {
        return fail(Errc::not_found, (link ? bridge + " is no bridge" : "there is no bridge " + bridge) +
                                         " in Domain-0: make it (ip link add " + bridge +
                                         " type bridge), or leave bridge out for the NAT network");
    }
    return {};
}

// What the domain sees at the other end of a routed link.
Result<std::optional<config::Ip_network>> Vif_class::gateway_address(const config::Vif_config& config,
                                                                     bool v6)
{
    if (config.gatewaydev.empty()) {
        return std::nullopt;
    }
    for (const auto& address : TRY(links_->addresses(config.gatewaydev))) {
        const bool is_link_local = v6 && address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80;
        if (address.is_v6 == v6 && !is_link_local) {
            return address.host();
        }
    }
    return std::nullopt;
}

Result<void> Vif_class::guard_ports()
{
    std::set<std::string> bridges;
    for (const auto& [address, interface] : interfaces_) {
        if (interface.is_connected && !bridge_of(interface).empty()) {
            bridges.insert(bridge_of(interface));
        }
    }
    return ports_.guard(bridges);
}

Result<void> Vif_class::set_up_port(const Interface& interface, const std::string& name)
{
    const std::string& bridge = bridge_of(interface);
    if (!interface.config.mtu) {
        TRY(links_->set_mtu(name, TRY(links_->get(bridge)).mtu));
    }
    // dom0 speaks to the domain through the bridge, never through the port itself.
    if (const auto off = set_sysctl("ipv6/conf/" + name + "/disable_ipv6", "1"); !off) {
        log::debug(off.error().message); // a kernel without IPv6
    }
    TRY(guard_ports()); // before the first packet
    return links_->put_into(name, bridge);
}

Result<void> Vif_class::set_up_route(const Interface& interface, const std::string& name)
{
    TRY(links_->set_up(name)); // routes need it so
    TRY(set_sysctl("ipv4/ip_forward", "1"));
    // The domain takes its whole network to be on this link: dom0 answers for all who are elsewhere.
    TRY(set_sysctl("ipv4/conf/" + name + "/proxy_arp", "1"));
    for (const bool v6 : {false, true}) {
        const auto gateway = TRY(gateway_address(interface.config, v6));
        if (gateway) {
            TRY(links_->add_address(name, *gateway));
        }
        for (const auto& ip : interface.ips) {
            if (ip.is_v6 == v6) {
                TRY(links_->add_route(ip, name, gateway));
            }
        }
    }
    return {};
}

Result<void> Vif_class::set_up(const Address& address, const Interface& interface)
{
    const auto& config     = interface.config;
    const std::string name = device_name(address);
    if (name != key_of(address)) {
        TRY(links_->rename(key_of(address), name));
    }
    if (config.mtu) {
        TRY(links_->set_mtu(name, *config.mtu));
    }
    switch (config.link) {
    case Link_kind::nat:
    case Link_kind::bridge: TRY(set_up_port(interface, name)); break;
    case Link_kind::route: TRY(set_up_route(interface, name)); break;
    case Link_kind::script: return {};
    }
    TRY(apply_rules()); // before anything of the domain's can come through
    return links_->set_up(name);
}

Result<void> Vif_class::apply_rules()
{
    Rules rules;
    if (nat_.is_up()) {
        rules.nat = Nat_rules{nat_.settings().bridge, nat_.settings().gateway};
    }
    for (const auto& [address, interface] : interfaces_) {
        const auto link = interface.config.link;
        if (interface.is_connected && link != Link_kind::script && !interface.ips.empty()) {
            rules.guards.push_back(
                {device_name(address), link != Link_kind::route, *interface.config.mac, interface.ips});
        }
    }
    const auto applied = filter_.apply(to_nft(rules));
    if (!applied && !rules.nat && rules.guards.empty()) {
        log::debug(applied.error().message); // nothing is wanted of a kernel that perhaps has no filter
        return {};
    }
    return applied;
}

// Once for all that change in one turn of the loop.
void Vif_class::update_soon()
{
    if (update_due_) {
        return;
    }
    update_due_ = loop_.after(std::chrono::seconds(0), [this] {
        update_due_.reset();
        for (const auto& result : {apply_rules(), guard_ports()}) {
            if (!result) {
                log::error(result.error().message);
            }
        }
    });
}

} // namespace vmm::net
