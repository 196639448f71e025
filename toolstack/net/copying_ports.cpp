// SPDX-License-Identifier: Apache-2.0
#include "toolstack/net/copying_ports.hpp"

#include "toolstack/base/log.hpp"
#include "toolstack/base/unique_fd.hpp"

#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <netlink/netlink.h>
#include <netlink/socket.h>

#include <cstring>
#include <utility>

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

Copying_ports::Copying_ports(Event_loop& loop, Links& links, std::function<bool(const std::string&)> own)
    : loop_(loop), links_(links), own_(std::move(own))
{
}

Copying_ports::~Copying_ports()
{
    if (due_) {
        loop_.cancel(*due_);
    }
    if (events_ != nullptr) {
        loop_.remove(nl_socket_get_fd(events_));
        nl_socket_free(events_);
    }
}

// The kernel tells of every change to a device; what has changed is found out by looking.
Result<void> Copying_ports::listen()
{
    if (events_ != nullptr) {
        return {};
    }
    nl_sock* const socket = nl_socket_alloc();
    if (socket == nullptr || nl_connect(socket, NETLINK_ROUTE) < 0 || nl_socket_set_nonblocking(socket) < 0 ||
        nl_socket_add_membership(socket, RTNLGRP_LINK) < 0) {
        nl_socket_free(socket);
        return fail(Errc::io, "cannot listen to changes of network devices");
    }
    events_ = socket;
    return loop_.add(nl_socket_get_fd(socket), EPOLLIN, [this](std::uint32_t) {
        char bytes[16384];
        while (::recv(nl_socket_get_fd(events_), bytes, sizeof bytes, 0) > 0) {
        }
        check_soon();
    });
}

Result<void> Copying_ports::watch(std::set<std::string> bridges)
{
    bridges_ = std::move(bridges);
    if (bridges_.empty() && copying_.empty()) {
        return {};
    }
    TRY(listen());
    return check();
}

Result<void> Copying_ports::check()
{
    const auto links = TRY(links_.list());
    std::set<int> watched;
    for (const Link& link : links) {
        if (bridges_.contains(link.name)) {
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

void Copying_ports::check_soon()
{
    if (due_) {
        return;
    }
    due_ = loop_.after(std::chrono::seconds(0), [this] {
        due_.reset();
        if (const auto checked = check(); !checked) {
            log::error(checked.error().message);
        }
    });
}

} // namespace vmm::net
