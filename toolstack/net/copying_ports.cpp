// SPDX-License-Identifier: Apache-2.0
#include "toolstack/net/copying_ports.hpp"

#include "toolstack/base/log.hpp"
#include "toolstack/base/unique_fd.hpp"

#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace vmm::net
{

namespace
{

Result<std::uint32_t> ask_ethtool(const std::string& device, std::uint32_t command, std::uint32_t value)
{
    const Unique_fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ethtool_value argument{command, value};
    ifreq request{};
    device.copy(request.ifr_name, sizeof request.ifr_name - 1);
    request.ifr_data = &argument;
    if (!socket || ::ioctl(socket.get(), SIOCETHTOOL, &request) != 0) {
        return fail_errno("cannot change how " + device + " takes packets");
    }
    return argument.data;
}

bool scatters(const std::string& device)
{
    const auto answer = ask_ethtool(device, ETHTOOL_GSG, 0);
    return answer && *answer != 0;
}

} // namespace

Result<void> Copying_ports::guard(const std::set<std::string>& bridges)
{
    if (bridges.empty() && copying_.empty()) {
        return {};
    }
    const auto links = TRY(links_.list());
    std::set<int> watched;
    for (const Link& link : links) {
        if (bridges.contains(link.name)) {
            watched.insert(link.index);
        }
    }
    std::set<std::string> ports;
    for (const Link& link : links) {
        if (!watched.contains(link.bridge) || own_(link.name)) {
            continue;
        }
        ports.insert(link.name);
        if (scatters(link.name)) {
            if (const auto off = ask_ethtool(link.name, ETHTOOL_SSG, 0); !off || scatters(link.name)) {
                return fail(Errc::unsupported,
                            "bridge port " + link.name +
                                " would be given pages of domains, which is not safe without "
                                "an IOMMU, and its scatter-gather cannot be turned off");
            }
            copying_.insert(link.name);
            log::info("bridge port " + link.name +
                      " is given copies only: scatter-gather is off, since its DMA "
                      "cannot reach pages of domains without an IOMMU");
        }
    }
    for (auto port = copying_.begin(); port != copying_.end();) {
        if (ports.contains(*port)) {
            ++port;
            continue;
        }
        if (const auto on = ask_ethtool(*port, ETHTOOL_SSG, 1); !on) {
            log::debug(on.error().message); // it has gone
        }
        port = copying_.erase(port);
    }
    return {};
}

} // namespace vmm::net
