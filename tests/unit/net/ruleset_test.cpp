// SPDX-License-Identifier: Apache-2.0
#include "toolstack/net/ruleset.hpp"

#include <catch2/catch.hpp>

using namespace vmm::net;
using vmm::config::Ip_network;
using vmm::config::Mac_address;

namespace
{

std::vector<Ip_network> ips(std::initializer_list<const char*> texts)
{
    std::vector<Ip_network> result;
    for (const auto* text : texts) {
        result.push_back(Ip_network::parse(text).value());
    }
    return result;
}

const auto kMac = Mac_address::parse("00:16:3e:00:00:01").value();

} // namespace

TEST_CASE("Nothing wanted is nothing left")
{
    CHECK(to_nft({}) == nft_removal());
    CHECK(to_nft({std::nullopt, {{"vif1.0", false, kMac, {}}}}) == nft_removal());
}

TEST_CASE("The NAT network is hidden behind dom0")
{
    const auto text = to_nft({Nat_rules{"vmm0", Ip_network::parse("10.76.0.1/24").value()}, {}});
    CHECK(text.find("ip saddr 10.76.0.0/24 oifname != \"vmm0\" masquerade") != std::string::npos);
    CHECK(text.find("iifname != \"vmm0\" oifname \"vmm0\" ct state != { established, related } drop") !=
          std::string::npos);
    CHECK(text.find("table bridge vmm {") == std::string::npos);
}

TEST_CASE("A port is held to its addresses")
{
    const auto text = to_nft({std::nullopt, {{"vif1.0", true, kMac, ips({"10.0.0.2", "10.1.0.7/16"})}}});
    for (const auto* rule :
         {"ether saddr != 00:16:3e:00:00:01 drop", "arp saddr ether != 00:16:3e:00:00:01 drop",
          "arp saddr ip != { 10.0.0.2, 10.1.0.0/16 } drop", "ip saddr != { 10.0.0.2, 10.1.0.0/16 } drop",
          "meta protocol ip6 drop"}) {
        CHECK(text.find("iifname \"vif1.0\" " + std::string(rule)) != std::string::npos);
    }
    CHECK(text.find("table inet vmm {") == std::string::npos);
}

TEST_CASE("A port with only IPv6 sends no IPv4")
{
    const auto text = to_nft({std::nullopt, {{"vif1.0", true, kMac, ips({"fd00::2"})}}});
    CHECK(text.find("meta protocol arp drop") != std::string::npos);
    CHECK(text.find("meta protocol ip drop") != std::string::npos);
    CHECK(text.find("ip6 saddr != { fd00::2 } drop") != std::string::npos);
}

TEST_CASE("Networks that cover each other are named once")
{
    const auto text = to_nft(
        {std::nullopt, {{"v", false, kMac, ips({"10.0.0.2", "10.0.0.0/24", "10.0.0.2", "10.0.0.9/24"})}}});
    CHECK(text.find("ip saddr != { 10.0.0.0/24 } drop") != std::string::npos);
}
