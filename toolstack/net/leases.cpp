// SPDX-License-Identifier: Apache-2.0
#include "toolstack/net/leases.hpp"

#include <algorithm>

namespace vmm::net
{

config::Ip_network Leases::number(std::uint32_t host) const
{
    config::Ip_network ip = gateway_.network();
    for (unsigned byte = 0; byte < 4; ++byte) {
        ip.bytes[byte] = static_cast<std::uint8_t>(ip.bytes[byte] | (host >> (24 - 8 * byte)));
    }
    return ip.host();
}

bool Leases::is_taken(const config::Ip_network& ip) const
{
    return ip == gateway_.host() ||
           std::ranges::any_of(leases_, [&](const auto& entry) { return entry.second.ip == ip; });
}

Result<config::Ip_network> Leases::find_free(const config::Mac_address& mac) const
{
    // The first and the last address of a network are nobody's.
    const auto hosts = static_cast<std::uint32_t>((std::uint64_t{1} << (32 - gateway_.prefix)) - 2);
    const std::uint32_t start =
        static_cast<std::uint32_t>(mac.bytes[3] << 16 | mac.bytes[4] << 8 | mac.bytes[5]) % hosts;
    for (std::uint64_t step = 0; step < std::min<std::uint64_t>(hosts, leases_.size() + 2); ++step) {
        const auto ip = number(static_cast<std::uint32_t>((start + step) % hosts) + 1);
        if (!is_taken(ip)) {
            return ip;
        }
    }
    return fail(Errc::no_space, "the NAT network " + gateway_.network().to_string() +
                                    " has no address left: give nat_address a shorter prefix in "
                                    "/etc/vmm/vmmd.conf");
}

Result<config::Ip_network> Leases::take(const std::string& key, const config::Mac_address& mac,
                                        const std::string& name,
                                        const std::optional<config::Ip_network>& wanted)
{
    give_back(key);
    for (const auto& [other, lease] : leases_) {
        if (lease.mac == mac) {
            return fail(Errc::exists, "mac " + mac.to_string() +
                                          " is in use on the NAT network by another interface (" + other +
                                          "): give this one another");
        }
    }
    if (wanted) {
        const bool at_edge = *wanted == number(0) || *wanted == number(~std::uint32_t{0} >> gateway_.prefix);
        if (!wanted->is_host() || !gateway_.contains(*wanted) || at_edge) {
            return fail(Errc::invalid, "ip " + wanted->to_string() + " is no address of the NAT network " +
                                           gateway_.network().to_string());
        }
        if (is_taken(*wanted)) {
            return fail(Errc::exists, "ip " + wanted->to_string() + " is in use on the NAT network");
        }
    }
    const auto ip = wanted ? *wanted : TRY(find_free(mac));
    leases_[key]  = {mac, ip, name};
    return ip;
}

bool Leases::give_back(const std::string& key) { return leases_.erase(key) != 0; }

std::string Leases::dhcp_hosts() const
{
    std::string text;
    for (const auto& [key, lease] : leases_) {
        text += lease.mac.to_string() + "," + lease.ip.address() + "\n";
    }
    return text;
}

std::string Leases::dns_hosts() const
{
    std::string text;
    for (const auto& [key, lease] : leases_) {
        text += lease.name.empty() ? "" : lease.ip.address() + " " + lease.name + "\n";
    }
    return text;
}

} // namespace vmm::net
