// SPDX-License-Identifier: Apache-2.0
#pragma once
// The network that vmmd runs itself, so that a domain reaches the outside with no set-up at all: a bridge
// with a private subnet, addresses by DHCP, names by DNS, forwarding. The translation of addresses is a
// matter of the filter (ruleset.hpp). It comes up with its first interface and stays; a host that never asks
// for it is not touched.

#include "toolstack/net/dnsmasq.hpp"
#include "toolstack/net/leases.hpp"
#include "toolstack/net/links.hpp"

#include <string>

namespace vmm::net
{

struct Nat_settings {
    std::string bridge = "vmm0"; // empty: there is no such network
    config::Ip_network gateway;  // dom0's address in it, with the prefix
    std::string dnsmasq   = "/usr/sbin/dnsmasq";
    std::string directory = "/run/vmm/net";

    // "10.76.0.1/24": an IPv4 address that is a host's, in a network of 4 to 2^24 addresses.
    [[nodiscard]] static Result<config::Ip_network> parse_gateway(const std::string& text);
};

class Nat_network
{
  public:
    Nat_network(Event_loop& loop, Links& links, Nat_settings settings);

    // Brings the network up if it is not, and gives the interface an address in it.
    [[nodiscard]] Result<config::Ip_network> join(const std::string& key, const config::Mac_address& mac,
                                                  const std::string& name,
                                                  const std::optional<config::Ip_network>& wanted);
    void leave(const std::string& key);

    [[nodiscard]] bool is_up() const { return is_up_; }
    [[nodiscard]] const Nat_settings& settings() const { return settings_; }
    [[nodiscard]] const Leases& leases() const { return leases_; }
    [[nodiscard]] std::optional<pid_t> dhcp_server() const { return dnsmasq_.process(); }

  private:
    Result<void> bring_up();

    Links& links_;
    Nat_settings settings_;
    Leases leases_;
    Dnsmasq dnsmasq_;
    bool is_up_ = false;
};

} // namespace vmm::net
