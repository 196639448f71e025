// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/vif_config.hpp"

#include <algorithm>
#include <set>

namespace vmm::config
{

std::uint64_t Vif_rate::bytes_per_interval() const
{
    return static_cast<std::uint64_t>(static_cast<unsigned __int128>(bytes_per_second) * interval_us /
                                      1'000'000);
}

std::string to_string(const Vif_config& vif)
{
    std::string text;
    const auto field = [&](std::string_view key, const std::string& value) {
        if (!value.empty())
            text += (text.empty() ? "" : ",") + std::string{key} + value;
    };
    field("devid=", vif.devid ? std::to_string(*vif.devid) : "");
    field("mac=", vif.mac ? vif.mac->to_string() : "");
    switch (vif.link) {
    case Vif_config::Link::nat: field("", "nat"); break;
    case Vif_config::Link::bridge: break; // the bridge says it
    case Vif_config::Link::route: field("script=", "route"); break;
    case Vif_config::Link::script: field("script=", vif.script); break;
    }
    field("bridge=", vif.bridge);
    field("gatewaydev=", vif.gatewaydev);
    field("vifname=", vif.vifname);
    std::string ips;
    for (const auto& ip : vif.ips)
        ips += (ips.empty() ? "" : " ") + ip.to_string();
    field("ip=", ips);
    if (vif.rate)
        field("rate=", std::to_string(vif.rate->bytes_per_second) + "B/s@" +
                           std::to_string(vif.rate->interval_us) + "us");
    field("mtu=", vif.mtu ? std::to_string(*vif.mtu) : "");
    return text;
}

void complete_vifs(std::span<Vif_config> vifs, std::string_view seed)
{
    std::set<unsigned> taken;
    for (const auto& vif : vifs)
        if (vif.devid)
            taken.insert(*vif.devid);
    unsigned free = 0;
    for (auto& vif : vifs) {
        if (!vif.devid) {
            while (taken.contains(free))
                ++free;
            taken.insert(free);
            vif.devid = free;
        }
        if (!vif.mac)
            vif.mac = Mac_address::generated(seed, *vif.devid);
    }
}

std::expected<void, std::string> check_vifs(std::span<const Vif_config> vifs)
{
    for (std::size_t i = 0; i < vifs.size(); ++i) {
        const auto& vif  = vifs[i];
        const auto clash = [&](std::size_t other, const std::string& what) {
            return std::unexpected("entries " + std::to_string(other + 1) + " and " + std::to_string(i + 1) +
                                   " both have " + what + ": give one of them another");
        };
        if (vif.devid && *vif.devid > Vif_config::kMax_devid)
            return std::unexpected("entry " + std::to_string(i + 1) + ": at most " +
                                   std::to_string(Vif_config::kMax_devid + 1) + " interfaces are possible");
        for (std::size_t other = 0; other < i; ++other) {
            if (vif.devid && vif.devid == vifs[other].devid)
                return clash(other, "devid " + std::to_string(*vif.devid));
            if (vif.mac && vif.mac == vifs[other].mac)
                return clash(other, "mac " + vif.mac->to_string());
            if (!vif.vifname.empty() && vif.vifname == vifs[other].vifname)
                return clash(other, "vifname " + vif.vifname);
        }
    }
    return {};
}

} // namespace vmm::config
