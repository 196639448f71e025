// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which interface has which IPv4 address of the NAT network. Addresses are given out here, before the guest
// asks for one, so that the filter can hold it to its own; dnsmasq only tells it. An interface finds the same
// address again as long as nobody else has taken it, since the search begins at a place that follows from its
// MAC address.

#include "toolstack/base/error.hpp"
#include "toolstack/config/ip_network.hpp"
#include "toolstack/config/mac_address.hpp"

#include <map>
#include <optional>
#include <string>

namespace vmm::net
{

struct Lease {
    config::Mac_address mac;
    config::Ip_network ip;
    std::string name; // that DNS knows it by; empty: none
};

class Leases
{
  public:
    // `gateway` is dom0's own address with the prefix of the network, at least four addresses large.
    explicit Leases(const config::Ip_network& gateway) : gateway_(gateway) {}

    // `key` is who holds it; `wanted` insists on one address.
    [[nodiscard]] Result<config::Ip_network> take(const std::string& key, const config::Mac_address& mac,
                                                  const std::string& name,
                                                  const std::optional<config::Ip_network>& wanted);
    bool give_back(const std::string& key); // false: it had none

    [[nodiscard]] const std::map<std::string, Lease>& all() const { return leases_; }
    [[nodiscard]] bool empty() const { return leases_.empty(); }

    // In the formats of dnsmasq's dhcp-hostsfile and addn-hosts.
    [[nodiscard]] std::string dhcp_hosts() const;
    [[nodiscard]] std::string dns_hosts() const;

  private:
    [[nodiscard]] config::Ip_network number(std::uint32_t host) const;
    [[nodiscard]] bool is_taken(const config::Ip_network& ip) const;
    Result<config::Ip_network> find_free(const config::Mac_address& mac) const;

    config::Ip_network gateway_;
    std::map<std::string, Lease> leases_;
};

} // namespace vmm::net
