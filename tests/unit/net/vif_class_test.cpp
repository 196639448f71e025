// SPDX-License-Identifier: Apache-2.0
// Interfaces as a class of devices, over a real store, real rules and wires in place of netback's devices.
#include "network_sandbox.hpp"

#include "toolstack/base/log.hpp"
#include "toolstack/net/vif_class.hpp"

#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

using namespace vmm;
using namespace vmm::net;
using namespace vmm::test;
using device::Address;
using device::Json;

namespace
{

struct World {
    World()
    {
        log::set_level(log::Level::error);
        char name[] = "/tmp/vmm-vif-XXXXXX";
        directory   = ::mkdtemp(name);
        std::filesystem::permissions(directory, std::filesystem::perms(0755));
        loop = Event_loop::create().value();
        Store_server::Options options;
        options.socket_path = directory + "/store.sock";
        store               = Store_server::create(*loop, options).value();
        store->write("/local/domain/1/name", "web").value();
        start();
    }
    ~World()
    {
        vifs.reset();
        for (const auto* name : {"vif1.0", "web0", "out0", "br0", "vmm0"}) {
            std::ignore = links->remove(name);
        }
        filter.apply(nft_removal()).value();
        std::filesystem::remove_all(directory);
    }

    void start()
    {
        vifs.reset();
        vifs = Vif_class::create(*loop, *store,
                                 {"vmm0", config::Ip_network::parse("10.76.0.1/24").value(),
                                  "/usr/sbin/dnsmasq", directory + "/net"})
                   .value();
    }

    static std::string text(const std::string& fields)
    {
        return fields + (fields.empty() ? "" : ",") + "devid=0" +
               (fields.find("mac=") == fields.npos ? ",mac=00:16:3e:00:00:01" : "");
    }
    device::Task task(const Address& address, const std::string& fields)
    {
        return {address, Json(text(fields)), [this](Json record) { noted = std::move(record); }};
    }
    std::string prepare(const Address& address, const std::string& fields)
    {
        std::string answer = "no answer";
        vifs->prepare(task(address, fields), [&](Result<device::Prepared> result) {
            answer = result ? "good" : result.error().message;
            if (result) {
                nodes = *result;
            }
        });
        return answer;
    }
    std::string connect(const Address& address)
    {
        std::optional<Result<void>> answer;
        vifs->connect(address, [&](Result<void> result) { answer = std::move(result); });
        run_until(*loop, [&] { return answer.has_value(); });
        return *answer ? "good" : answer->error().message;
    }
    void release(const Address& address)
    {
        const std::string name = vifs->device_name(address);
        bool done              = false;
        vifs->release(address, [&] { done = true; });
        for (int turn = 0; turn < 3; ++turn) {
            loop->run_once(std::chrono::milliseconds(20)).value();
        }
        CHECK(done == !links->find(name).value()); // told only when nothing is left
        links->remove(name).value();               // as netback does a moment later
        run_until(*loop, [&] { return done; });
        loop->run_once(std::chrono::milliseconds(0)).value(); // the rules follow on the next turn
    }
    std::string node(const std::string& name) const
    {
        for (const auto& [key, value] : nodes.backend) {
            if (key == name) {
                return value;
            }
        }
        return "";
    }
    std::string rules() { return filter.show("list ruleset").value(); }
    std::string bridge_of(const std::string& name)
    {
        const int index = links->get(name).value().bridge;
        const auto all  = links->list().value();
        for (const auto& link : all) {
            if (link.index == index) {
                return link.name;
            }
        }
        return "";
    }

    Network_sandbox sandbox; // before all that opens a socket
    std::string directory;
    std::unique_ptr<Event_loop> loop;
    std::unique_ptr<Store_server> store;
    std::unique_ptr<Links> links = Links::open().value();
    Nftables filter              = Nftables::open().value();
    std::unique_ptr<Vif_class> vifs;
    device::Prepared nodes;
    Json noted;
};

const Address kFirst{Domid{1}, "vif", 0};
const Address kSecond{Domid{2}, "vif", 0};

} // namespace

TEST_CASE("NAT: an address, a port of the network, and nothing but its own address comes out")
{
    World world;
    REQUIRE(world.prepare(kFirst, "nat,rate=8Mb/s@20ms") == "good");
    CHECK(world.node("bridge") == "vmm0");
    CHECK(world.node("mac") == "00:16:3e:00:00:01");
    CHECK(world.node("handle") == "0");
    CHECK(world.node("rate") == "20000,20000");
    CHECK_FALSE(world.node("script").empty()); // netback refuses a device without one
    const std::string ip = world.vifs->addresses(kFirst).at(0).address();
    CHECK(world.node("ip") == ip);
    CHECK(world.noted.at("ip") == ip);
    CHECK(file_text(world.directory + "/net/dns-hosts") == ip + " web\n");

    make_wire("vif1.0", "guest0");
    REQUIRE(world.connect(kFirst) == "good");
    world.links->set_up("guest0").value();
    CHECK(world.bridge_of("vif1.0") == "vmm0");
    CHECK(world.links->get("vif1.0").value().is_up);

    Listener listener("vmm0");
    send_udp("guest0", "00:16:3e:00:00:02", ip, "with another MAC");
    send_udp("guest0", "00:16:3e:00:00:01", "10.76.0.250", "from another address");
    send_udp("guest0", "00:16:3e:00:00:01", ip, "honestly");
    CHECK(listener.hears("honestly"));
    CHECK_FALSE(listener.heard_already("with another MAC"));
    CHECK_FALSE(listener.heard_already("from another address"));

    world.release(kFirst);
    CHECK(world.rules().find("vif1.0") == std::string::npos);
    CHECK(file_text(world.directory + "/net/dhcp-hosts").empty());
}

TEST_CASE("A bridge of the administrator's: mtu, name, and no filter unless asked for")
{
    World world;
    CHECK(world.prepare(kFirst, "bridge=br0") == "there is no bridge br0 in Domain-0: make it (ip link add "
                                                 "br0 type bridge), or leave bridge out for the "
                                                 "NAT network");
    CHECK(
        world.prepare(kFirst, "bridge=lo") ==
        "lo is no bridge in Domain-0: make it (ip link add lo type bridge), or leave bridge out for the NAT "
        "network");
    world.links->make_bridge("br0", config::Mac_address::parse("02:00:00:00:00:01").value()).value();
    world.links->set_up("br0").value();
    world.links->set_mtu("br0", 1400).value();
    REQUIRE(world.prepare(kFirst, "bridge=br0,vifname=web0") == "good");
    CHECK(world.prepare(kSecond, "bridge=br0") == "mac 00:16:3e:00:00:01 is in use on the same network by "
                                                  "vif1.0: give this interface another");
    make_wire("vif1.0", "guest0");
    REQUIRE(world.connect(kFirst) == "good");
    world.links->set_up("guest0").value();
    CHECK(world.vifs->device_name(kFirst) == "web0");
    CHECK(world.bridge_of("web0") == "br0");
    CHECK(world.links->get("web0").value().mtu == 1400);
    Listener listener("br0");
    send_udp("guest0", "00:16:3e:00:00:77", "1.2.3.4", "whatever it likes");
    CHECK(listener.hears("whatever it likes"));
    CHECK_FALSE(world.links->find("vmm0").value());
    world.release(kFirst);
}

TEST_CASE("A card on a domain's bridge is given copies, whenever it joins, until the domain leaves")
{
    World world;
    const auto scatters = [](const std::string& device) {
        const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        ethtool_value value{ETHTOOL_GSG, 0};
        ifreq request{};
        device.copy(request.ifr_name, sizeof request.ifr_name - 1);
        request.ifr_data = &value;
        REQUIRE(::ioctl(socket, SIOCETHTOOL, &request) == 0);
        ::close(socket);
        return value.data != 0;
    };
    world.links->make_bridge("br0", config::Mac_address::parse("02:00:00:00:00:01").value()).value();
    make_wire("out0", "out1"); // the card
    world.links->put_into("out0", "br0").value();
    CHECK(scatters("out0"));
    REQUIRE(world.prepare(kFirst, "bridge=br0") == "good");
    const auto late = world.loop->after(std::chrono::milliseconds(50), [] { make_wire("vif1.0", "guest0"); });
    REQUIRE(world.connect(kFirst) ==
            "good"); // the kernel makes the device a moment after the backend is there
    world.loop->cancel(late);
    CHECK_FALSE(scatters("out0"));
    CHECK(scatters("vif1.0"));

    make_wire("late0", "late1");
    CHECK(scatters("late0"));
    world.links->put_into("late0", "br0").value();
    run_until(*world.loop, [&] { return !scatters("late0"); });

    world.release(kFirst);
    run_until(*world.loop, [&] { return scatters("out0") && scatters("late0"); });
    world.links->remove("late0").value();
}

TEST_CASE("Routed: dom0 has the gateway's address on the link and a route to the domain")
{
    World world;
    CHECK(world.prepare(kFirst, "script=route,ip=10.5.0.2,gatewaydev=out0")
              .find("there is no network device "
                    "out0") == 0);
    make_wire("out0", "out1");
    CHECK(world.prepare(kFirst, "script=route,ip=10.5.0.2,gatewaydev=out0") ==
          "gatewaydev: out0 has no address that the domain could reach it by");
    world.links->add_address("out0", config::Ip_network::parse("192.168.9.1/24").value()).value();
    REQUIRE(world.prepare(kFirst, "script=route,ip=10.5.0.2,gatewaydev=out0") == "good");
    make_wire("vif1.0", "guest0");
    REQUIRE(world.connect(kFirst) == "good");
    world.links->set_up("guest0").value();
    CHECK(world.links->addresses("vif1.0").value().at(0).to_string() == "192.168.9.1");
    CHECK(file_text("/proc/net/route").find("vif1.0\t0200050A") != std::string::npos);
    CHECK(file_text("/proc/sys/net/ipv4/conf/vif1.0/proxy_arp") == "1\n");
    CHECK(world.rules().find("iifname \"vif1.0\" ip saddr != 10.5.0.2 drop") != std::string::npos);
    world.release(kFirst);
    CHECK(world.rules().find("vif1.0") == std::string::npos);
}

TEST_CASE("A script of the administrator's does it all, both ways")
{
    World world;
    const std::string script = world.directory + "/mine";
    CHECK(world.prepare(kFirst, "script=" + script) ==
          "cannot run script " + script + ": No such file or directory");
    std::ofstream(script) << "#!/bin/sh\necho $1 $vif >>" << world.directory << "/calls\n";
    std::filesystem::permissions(script, std::filesystem::perms(0755));
    REQUIRE(world.prepare(kFirst, "script=" + script + ",bridge=whatever") == "good");
    CHECK(world.node("bridge") == "whatever");
    CHECK(world.node("script") == script);
    make_wire("vif1.0", "guest0");
    REQUIRE(world.connect(kFirst) == "good");
    world.release(kFirst);
    CHECK(file_text(world.directory + "/calls") == "online vif1.0\noffline vif1.0\n");
}

TEST_CASE("A restarted vmmd gives the same address and guards again")
{
    World world;
    REQUIRE(world.prepare(kFirst, "nat") == "good");
    make_wire("vif1.0", "guest0");
    REQUIRE(world.connect(kFirst) == "good");
    const auto ip = world.vifs->addresses(kFirst);
    // Another interface would like to have that address: it must not get it.
    Json record{{"ip", "10.76.0.99"}};
    world.start();
    REQUIRE(world.vifs->adopt(world.task(kFirst, "nat"), record));
    CHECK(world.vifs->addresses(kFirst).at(0).address() == "10.76.0.99");
    CHECK(world.prepare(kSecond, "nat,ip=10.76.0.99,mac=00:16:3e:00:00:02") ==
          "ip 10.76.0.99 is in use on the NAT network");
    world.loop->run_once(std::chrono::milliseconds(0)).value();
    CHECK(world.rules().find("ip saddr != 10.76.0.99 drop") != std::string::npos);
    CHECK_FALSE(ip.empty());
    world.release(kFirst);
}
