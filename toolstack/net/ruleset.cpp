// SPDX-License-Identifier: Apache-2.0
#include "toolstack/net/ruleset.hpp"

#include <algorithm>

namespace vmm::net
{

namespace
{

std::string quoted(const std::string& name) { return '"' + name + '"'; }

// "{ 10.0.0.2, 10.1.0.0/16 }", or empty if there is none of this family. Overlapping entries would be refused
// by nft, so what another one covers is left out.
std::string set_of(const std::vector<config::Ip_network>& ips, bool v6)
{
    std::string text;
    for (std::size_t i = 0; i < ips.size(); ++i) {
        const auto& ip        = ips[i];
        const auto covered_by = [&](std::size_t other) {
            return other != i && ips[other].contains(ip) && (!ip.contains(ips[other]) || other < i);
        };
        bool covered = false;
        for (std::size_t other = 0; other < ips.size(); ++other) {
            covered = covered || covered_by(other);
        }
        if (ip.is_v6 == v6 && !covered) {
            text += (text.empty() ? "{ " : ", ") + ip.network().to_string();
        }
    }
    return text.empty() ? text : text + " }";
}

// The part that frames and packets have in common. An address in parentheses below is where a guest starts.
std::string ip_rules(const std::string& from, const Guard& guard)
{
    const std::string v4 = set_of(guard.ips, false);
    const std::string v6 = set_of(guard.ips, true);
    std::string text;
    text += from + "ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept\n";
    text += from + (v4.empty() ? "meta protocol ip drop\n" : "ip saddr != " + v4 + " drop\n");
    text += from + "ip6 saddr { ::, fe80::/10 } accept\n";
    text += from + (v6.empty() ? "meta protocol ip6 drop\n" : "ip6 saddr != " + v6 + " drop\n");
    return text;
}

std::string port_rules(const Guard& guard)
{
    const std::string from = "    iifname " + quoted(guard.device) + " ";
    std::string text       = from + "ether saddr != " + guard.mac.to_string() + " drop\n";
    if (guard.ips.empty()) {
        return text;
    }
    const std::string v4 = set_of(guard.ips, false);
    text += from + "arp saddr ether != " + guard.mac.to_string() + " drop\n";
    // 0.0.0.0 asks whether an address is free, before it is used.
    text += from + "arp saddr ip 0.0.0.0 accept\n";
    text += from + (v4.empty() ? "meta protocol arp drop\n" : "arp saddr ip != " + v4 + " drop\n");
    return text + ip_rules(from, guard);
}

std::string nat_rules(const Nat_rules& nat)
{
    const std::string bridge  = quoted(nat.bridge);
    const std::string network = nat.network.network().to_string();
    return "  chain postrouting {\n"
           "    type nat hook postrouting priority srcnat; policy accept;\n"
           "    ip saddr " +
           network + " oifname != " + bridge +
           " masquerade\n"
           "  }\n"
           "  chain forward {\n"
           "    type filter hook forward priority filter; policy accept;\n"
           "    iifname != " +
           bridge + " oifname " + bridge +
           " ct state != { established, related } drop\n"
           "  }\n";
}

} // namespace

std::string nft_removal()
{
    // A table is made so that taking it away cannot fail.
    return "add table inet vmm\ndelete table inet vmm\nadd table bridge vmm\ndelete table bridge vmm\n";
}

std::string to_nft(const Rules& rules)
{
    std::string routed;
    std::string ports;
    for (const Guard& guard : rules.guards) {
        if (guard.is_port) {
            ports += port_rules(guard);
        } else if (!guard.ips.empty()) {
            routed += ip_rules("    iifname " + quoted(guard.device) + " ", guard);
        }
    }
    std::string text = nft_removal();
    if (rules.nat || !routed.empty()) {
        text += "table inet vmm {\n" + (rules.nat ? nat_rules(*rules.nat) : "");
        if (!routed.empty()) {
            text += "  chain from_domains {\n"
                    "    type filter hook prerouting priority raw; policy accept;\n" +
                    routed + "  }\n";
        }
        text += "}\n";
    }
    if (!ports.empty()) {
        text += "table bridge vmm {\n  chain from_domains {\n"
                "    type filter hook prerouting priority -300; policy accept;\n" +
                ports + "  }\n}\n";
    }
    return text;
}

} // namespace vmm::net
