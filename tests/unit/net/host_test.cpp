// SPDX-License-Identifier: Apache-2.0
// Real devices, rules and a real dnsmasq, in a network namespace.
#include "network_sandbox.hpp"

#include "toolstack/base/child_process.hpp"
#include "toolstack/base/log.hpp"
#include "toolstack/net/links.hpp"
#include "toolstack/net/nat_network.hpp"
#include "toolstack/net/nftables.hpp"
#include "toolstack/net/ruleset.hpp"
#include "toolstack/net/sysctl.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace vmm;
using namespace vmm::net;
using namespace vmm::test;
using config::Ip_network;
using config::Mac_address;

namespace
{

Ip_network ip(const std::string& text) { return Ip_network::parse(text).value(); }
const auto kMac = Mac_address::parse("00:16:3e:00:00:01").value();

} // namespace

TEST_CASE("Links: a bridge, its ports, addresses and routes")
{
    const Network_sandbox sandbox;
    auto links = Links::open().value();
    CHECK_FALSE(links->find("br0").value());
    REQUIRE(links->make_bridge("br0", kMac));
    CHECK(links->make_bridge("br0", kMac).error().code == Errc::exists);
    make_wire("port0", "far0");

    CHECK(links->find("br0").value()->is_bridge);
    CHECK_FALSE(links->find("port0").value()->is_bridge);
    REQUIRE(links->put_into("port0", "br0"));
    CHECK(links->get("port0").value().bridge == links->get("br0").value().index);
    REQUIRE(links->set_mtu("port0", 1400));
    CHECK(links->get("port0").value().mtu == 1400);
    REQUIRE(links->set_up("br0"));
    CHECK(links->get("br0").value().is_up);

    REQUIRE(links->add_address("br0", ip("10.9.0.1/24")));
    REQUIRE(links->add_address("br0", ip("10.9.0.1/24"))); // there already
    const auto addresses = links->addresses("br0").value();
    CHECK(std::count(addresses.begin(), addresses.end(), ip("10.9.0.1/24")) == 1);
    REQUIRE(links->add_route(ip("10.9.9.9"), "br0", ip("10.9.0.1/24")));
    REQUIRE(links->add_route(ip("10.9.9.9"), "br0", ip("10.9.0.1/24")));
    CHECK(file_text("/proc/net/route").find("br0\t0909090A") != std::string::npos);

    REQUIRE(links->rename("far0", "other"));
    CHECK(links->find("other").value());
    CHECK_FALSE(links->find("far0").value());
    const auto all = links->list().value();
    CHECK(std::any_of(all.begin(), all.end(), [](const Link& link) { return link.name == "port0"; }));

    REQUIRE(links->remove("br0"));
    REQUIRE(links->remove("br0"));
    CHECK_FALSE(links->find("br0").value());
    CHECK(links->get("br0").error().message == "there is no network device br0");
    REQUIRE(links->remove("port0"));
}

TEST_CASE("Rules replace what was there, all or nothing")
{
    const Network_sandbox sandbox;
    auto filter = Nftables::open().value();
    const Rules full{Nat_rules{"vmm0", ip("10.76.0.1/24")},
                     {{"vif1.0", true, kMac, {ip("10.76.0.2")}},
                      {"vif2.0", true, kMac, {ip("10.0.0.0/24"), ip("fd00::/64"), ip("fd00::1")}},
                      {"vif3.0", false, kMac, {ip("10.3.0.2"), ip("fd03::1")}}}};
    REQUIRE(filter.apply(to_nft(full)));
    const auto all = filter.show("list ruleset").value();
    CHECK(all.find("masquerade") != std::string::npos);
    CHECK(all.find("vif2.0") != std::string::npos);
    CHECK(all.find("vif3.0") != std::string::npos);

    const auto broken = filter.apply(to_nft({}) + "add rule inet vmm nowhere drop\n");
    REQUIRE_FALSE(broken);
    CHECK(broken.error().message.find("nftables refused the rules: ") == 0);
    CHECK(broken.error().message.find('\n') == std::string::npos);
    CHECK(filter.show("list ruleset").value() == all);

    REQUIRE(filter.apply("add table inet others\n"));
    REQUIRE(filter.apply(to_nft({})));
    CHECK(filter.show("list ruleset").value() == "table inet others {\n}\n");
}

TEST_CASE("The NAT network comes up with its first interface, and dnsmasq gives what was promised")
{
    const Network_sandbox sandbox;
    log::set_level(log::Level::error);
    char name[]                 = "/tmp/vmm-net-XXXXXX";
    const std::string directory = ::mkdtemp(name);
    std::filesystem::permissions(directory, std::filesystem::perms(0755));
    auto loop  = Event_loop::create().value();
    auto links = Links::open().value();
    REQUIRE(set_sysctl("ipv4/ip_forward", "0"));
    {
        Nat_network network(*loop, *links, {"vmm0", ip("10.76.0.1/24"), "/usr/sbin/dnsmasq", directory});
        CHECK_FALSE(links->find("vmm0").value()); // nothing is touched before it is wanted
        const auto first = network.join("vif1.0", kMac, "web", std::nullopt).value();
        CHECK(links->find("vmm0").value()->is_up);
        CHECK(file_text("/proc/sys/net/ipv4/ip_forward") == "1\n");

        // The guest: a client at the far end of a wire whose near end is a port.
        make_wire("vif1.0", "guest0");
        const std::string set_mac = "exec /bin/busybox ip link set dev guest0 address " + kMac.to_string();
        REQUIRE(std::system(set_mac.c_str()) == 0);
        REQUIRE(links->put_into("vif1.0", "vmm0"));
        REQUIRE(links->set_up("vif1.0"));
        REQUIRE(links->set_up("guest0"));
        const std::string script = directory + "/bound";
        {
            std::ofstream text(script);
            text << "#!/bin/sh\n[ \"$1\" != bound ] || echo \"$ip/$mask via $router dns $dns\" >" << directory
                 << "/result\n";
        }
        std::filesystem::permissions(script, std::filesystem::perms(0755));
        const auto lease_of = [&](const std::string& expected) {
            std::filesystem::remove(directory + "/result");
            const auto child = start({.words = {"/bin/busybox", "udhcpc", "-f", "-q", "-n", "-i", "guest0",
                                                "-t", "20", "-T", "1", "-s", script},
                                      .environment  = {"PATH=/bin"},
                                      .ends_with_us = true});
            REQUIRE(child);
            bool ended = false;
            REQUIRE(loop->on_child_exit(*child, [&](int status) {
                ended = true;
                CHECK(status == 0);
            }));
            run_until(*loop, [&] { return ended; });
            CHECK(file_text(directory + "/result") == expected);
        };
        lease_of(first.address() + "/24 via 10.76.0.1 dns 10.76.0.1\n");

        // dnsmasq that dies is started again; an address that was given back goes to the next.
        const auto before = network.dhcp_server();
        REQUIRE(before);
        REQUIRE(::kill(*before, SIGKILL) == 0);
        run_until(*loop, [&] { return network.dhcp_server() && network.dhcp_server() != before; });
        network.leave("vif1.0");
        const auto second = network.join("vif7.0", kMac, "web", ip("10.76.0.200")).value();
        REQUIRE(second != first);
        lease_of("10.76.0.200/24 via 10.76.0.1 dns 10.76.0.1\n");
    }
    std::filesystem::remove_all(directory);
}
