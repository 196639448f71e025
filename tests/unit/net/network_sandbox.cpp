// SPDX-License-Identifier: Apache-2.0
#include "network_sandbox.hpp"

#include "toolstack/config/ip_network.hpp"
#include "toolstack/config/mac_address.hpp"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <vector>

namespace vmm::test
{

namespace
{

constexpr int kSkipped = 77; // as CMakeLists.txt tells ctest

sockaddr_ll device_address(const std::string& device)
{
    sockaddr_ll address{};
    address.sll_family   = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex  = static_cast<int>(::if_nametoindex(device.c_str()));
    REQUIRE(address.sll_ifindex != 0);
    return address;
}

void put16(std::vector<std::uint8_t>& bytes, std::size_t value)
{
    bytes.push_back(static_cast<std::uint8_t>(value >> 8));
    bytes.push_back(static_cast<std::uint8_t>(value));
}

} // namespace

Network_sandbox::Network_sandbox()
{
    static bool inside = false;
    if (inside) {
        return;
    }
    if (::unshare(CLONE_NEWNET) != 0) {
        std::perror("skipped: a network namespace is needed, and making one takes root");
        std::exit(kSkipped);
    }
    inside = true;
}

void make_wire(const std::string& end, const std::string& other_end)
{
    nl_sock* const socket = nl_socket_alloc();
    REQUIRE(nl_connect(socket, NETLINK_ROUTE) == 0);
    REQUIRE(rtnl_link_veth_add(socket, end.c_str(), other_end.c_str(), ::getpid()) == 0);
    nl_socket_free(socket);
}

void send_udp(const std::string& device, const std::string& source_mac, const std::string& source_ip,
              const std::string& payload)
{
    const auto mac = config::Mac_address::parse(source_mac).value();
    const auto ip  = config::Ip_network::parse(source_ip).value();
    std::vector<std::uint8_t> frame(6, 0xff);
    frame.insert(frame.end(), mac.bytes.begin(), mac.bytes.end());
    put16(frame, ETHERTYPE_IP);
    const std::size_t ip_start = frame.size();
    frame.insert(frame.end(), {0x45, 0});
    put16(frame, 28 + payload.size());
    frame.insert(frame.end(), {0, 0, 0, 0, 64, IPPROTO_UDP, 0, 0});
    frame.insert(frame.end(), ip.bytes.begin(), ip.bytes.begin() + 4);
    frame.insert(frame.end(), {255, 255, 255, 255});
    std::uint32_t sum = 0;
    for (std::size_t i = ip_start; i < frame.size(); i += 2) {
        sum += static_cast<std::uint32_t>(frame[i] << 8 | frame[i + 1]);
    }
    sum                  = (sum & 0xffff) + (sum >> 16);
    sum                  = ~((sum & 0xffff) + (sum >> 16));
    frame[ip_start + 10] = static_cast<std::uint8_t>(sum >> 8);
    frame[ip_start + 11] = static_cast<std::uint8_t>(sum);
    put16(frame, 1);
    put16(frame, 2);
    put16(frame, 8 + payload.size());
    put16(frame, 0);
    frame.insert(frame.end(), payload.begin(), payload.end());

    const int socket   = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
    const auto address = device_address(device);
    REQUIRE(::sendto(socket, frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&address),
                     sizeof address) == static_cast<ssize_t>(frame.size()));
    ::close(socket);
}

Listener::Listener(const std::string& device)
    : socket_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)))
{
    const auto address = device_address(device);
    REQUIRE(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
}

bool Listener::look(const std::string& payload, int milliseconds)
{
    while (heard_.find(payload) == std::string::npos) {
        pollfd descriptor{socket_, POLLIN, 0};
        if (::poll(&descriptor, 1, milliseconds) != 1) {
            return false;
        }
        std::array<char, 2048> frame;
        const ssize_t got = ::recv(socket_, frame.data(), frame.size(), 0);
        heard_.append(frame.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    }
    return true;
}

bool Listener::hears(const std::string& payload) { return look(payload, 1000); }
bool Listener::heard_already(const std::string& payload) { return look(payload, 0); }

std::string file_text(const std::string& path)
{
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return std::move(text).str();
}

void run_until(Event_loop& loop, const std::function<bool()>& done)
{
    const auto limit = Event_loop::Clock::now() + std::chrono::seconds(20);
    while (!done()) {
        REQUIRE(Event_loop::Clock::now() < limit);
        loop.run_once(std::chrono::milliseconds(50)).value();
    }
}

} // namespace vmm::test
