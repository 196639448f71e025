// SPDX-License-Identifier: Apache-2.0
#include "toolstack/net/leases.hpp"
#include "toolstack/net/nat_network.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace vmm;
using namespace vmm::net;
using config::Ip_network;
using config::Mac_address;

namespace
{

Ip_network ip(const std::string& text) { return Ip_network::parse(text).value(); }
Mac_address mac(unsigned last)
{
    return {{0x00, 0x16, 0x3e, 0, static_cast<std::uint8_t>(last >> 8), static_cast<std::uint8_t>(last)}};
}

} // namespace

TEST_CASE("A network gives each interface an address until it is full, and none twice")
{
    Leases leases(ip("10.76.0.9/28"));
    std::set<std::string> given;
    for (unsigned i = 0; i < 13; ++i) {
        const auto lease = leases.take("vif" + std::to_string(i), mac(7), "", std::nullopt);
        if (i > 0) {
            CHECK(lease.error().message == "mac 00:16:3e:00:00:07 is in use on the NAT network by another "
                                           "interface (vif0): give this one another");
        }
        const auto other = leases.take("vif" + std::to_string(i), mac(100 + i), "", std::nullopt);
        REQUIRE(other);
        CHECK(ip("10.76.0.0/28").contains(*other));
        CHECK(given.insert(other->to_string()).second);
        if (i == 0) {
            leases.give_back("vif0");
            given.clear();
            REQUIRE(leases.take("vif0", mac(7), "", std::nullopt));
            given.insert(leases.all().at("vif0").ip.to_string());
        }
    }
    CHECK_FALSE(given.contains("10.76.0.0"));
    CHECK_FALSE(given.contains("10.76.0.9"));
    CHECK_FALSE(given.contains("10.76.0.15"));
    CHECK(leases.take("one more", mac(200), "", std::nullopt).error().message ==
          "the NAT network 10.76.0.0/28 has no address left: give nat_address a shorter prefix in "
          "/etc/vmm/vmmd.conf");
    CHECK(leases.give_back("vif3"));
    CHECK_FALSE(leases.give_back("vif3"));
    CHECK(leases.take("one more", mac(200), "", std::nullopt));
}

TEST_CASE("An interface finds its address again")
{
    Leases leases(ip("10.76.0.1/24"));
    const auto first = leases.take("vif1.0", mac(5), "a", std::nullopt).value();
    leases.take("vif2.0", mac(6), "b", std::nullopt).value();
    leases.give_back("vif1.0");
    CHECK(leases.take("vif3.0", mac(5), "a", std::nullopt).value() == first);
}

TEST_CASE("An address that was asked for is given or refused with the reason")
{
    Leases leases(ip("10.76.0.1/24"));
    CHECK(leases.take("vif1.0", mac(1), "", ip("10.76.0.77")).value() == ip("10.76.0.77"));
    const auto refusal = [&](const std::string& text) {
        return leases.take("vif2.0", mac(2), "", ip(text)).error().message;
    };
    CHECK(refusal("10.76.0.77") == "ip 10.76.0.77 is in use on the NAT network");
    CHECK(refusal("10.76.0.1") == "ip 10.76.0.1 is in use on the NAT network");
    for (const auto* text : {"10.77.0.1", "10.76.0.0", "10.76.0.255", "fd00::1", "10.76.0.4/30"}) {
        CHECK(refusal(text) == "ip " + std::string(text) + " is no address of the NAT network 10.76.0.0/24");
    }
}

TEST_CASE("What dnsmasq is told")
{
    Leases leases(ip("10.76.0.1/24"));
    leases.take("vif1.0", mac(1), "web", ip("10.76.0.10")).value();
    leases.take("vif2.0", mac(2), "", ip("10.76.0.11")).value();
    CHECK(leases.dhcp_hosts() == "00:16:3e:00:00:01,10.76.0.10\n00:16:3e:00:00:02,10.76.0.11\n");
    CHECK(leases.dns_hosts() == "10.76.0.10 web\n");
}

TEST_CASE("The gateway of the network is a host in it")
{
    CHECK(Nat_settings::parse_gateway("192.168.7.1/22").value() == ip("192.168.7.1/22"));
    for (const auto* text : {"10.0.0.0/24", "10.0.0.1", "10.0.0.1/31", "10.0.0.1/7", "fd00::1/64", "x"}) {
        INFO(text);
        CHECK_FALSE(Nat_settings::parse_gateway(text));
    }
}
