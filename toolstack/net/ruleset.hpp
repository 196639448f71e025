// SPDX-License-Identifier: Apache-2.0
#pragma once
// The packet filter rules that vmmd wants, as text for nft(8). Pure: the same state gives the same text, and
// the text replaces whatever vmmd's tables (`inet vmm`, `bridge vmm`) held before in one transaction. Tables
// of others are not touched, so what they drop stays dropped.

#include "toolstack/config/ip_network.hpp"
#include "toolstack/config/mac_address.hpp"

#include <optional>
#include <string>
#include <vector>

namespace vmm::net
{

// The network that vmmd runs itself: hidden behind dom0's addresses, reachable from outside only by answers.
struct Nat_rules {
    std::string bridge;
    config::Ip_network network;
};

// What an interface may send: only from its own address, and from these IP addresses if there are any. IPv6
// autoconfiguration needs link-local addresses, which are always allowed, as is asking for an address by
// DHCP.
struct Guard {
    std::string device;
    bool is_port = false; // of a bridge: its frames are looked at there
    config::Mac_address mac;
    std::vector<config::Ip_network> ips;
};

struct Rules {
    std::optional<Nat_rules> nat;
    std::vector<Guard> guards;
};

[[nodiscard]] std::string to_nft(const Rules& rules);

// Takes vmmd's tables away altogether.
[[nodiscard]] std::string nft_removal();

} // namespace vmm::net
