// SPDX-License-Identifier: Apache-2.0
#include "toolstack/config/domain_config_json.hpp"
#include "toolstack/config/interpret.hpp"
#include "toolstack/config/vif_config.hpp"
#include "toolstack/config/write.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace vmm::config;

namespace
{

std::expected<Interpretation, Diagnostic> read(std::string_view text)
{
    const auto settings = parse_settings({Source::Kind::file, "a.cfg"}, text);
    REQUIRE(settings);
    return interpret(*settings, "a.cfg", "/");
}

std::vector<Vif_config> vifs_of(const std::string& more)
{
    const auto result = read("name='a'\nkernel='/k'\n" + more);
    if (!result)
        FAIL(result.error().to_string());
    return result->config.vifs;
}

std::string error_of(const std::string& more)
{
    const auto result = read("name='a'\nkernel='/k'\n" + more);
    return result ? "no error" : result.error().to_string();
}

Vif_config vif(std::string_view text)
{
    const auto result = parse_vif(text);
    if (!result)
        FAIL(result.error().message);
    return *result;
}

} // namespace

TEST_CASE("An interface with everything")
{
    const auto all = vif("mac=00:16:3E:aa:bb:01, type=vif, bridge=br0, vifname=web0, ip=10.0.0.2 fd00::2/64, "
                         "backend=0, rate=10Mb/s@20ms, devid=3, mtu=9000");
    CHECK(all.mac->to_string() == "00:16:3e:aa:bb:01");
    CHECK(all.link == Vif_config::Link::bridge);
    CHECK(all.bridge == "br0");
    CHECK(all.vifname == "web0");
    REQUIRE(all.ips.size() == 2);
    CHECK(all.ips[0].to_string() == "10.0.0.2");
    CHECK(all.ips[1].to_string() == "fd00::2/64");
    CHECK(all.rate == Vif_rate{1'250'000, 20'000});
    CHECK(all.rate->bytes_per_interval() == 25'000);
    CHECK(all.devid == 3u);
    CHECK(all.mtu == 9000u);
}

TEST_CASE("What an interface is linked to follows from its fields")
{
    using Link                      = Vif_config::Link;
    const auto [text, link, script] = GENERATE(table<std::string, Link, std::string>({
        {"", Link::nat, ""},
        {"nat", Link::nat, ""},
        {"mac=00:16:3e:00:00:01", Link::nat, ""},
        {"script=vif-nat", Link::nat, ""},
        {"nat,script=nat", Link::nat, ""},
        {"bridge=xenbr0", Link::bridge, ""},
        {"bridge=xenbr0,script=vif-bridge", Link::bridge, ""},
        {"ip=10.0.0.2,script=route,gatewaydev=eth0", Link::route, ""},
        {"ip=10.0.0.2,script=vif-route", Link::route, ""},
        {"script=/opt/vif-mine,bridge=ovs0", Link::script, "/opt/vif-mine"},
        {"script=mine,gatewaydev=eth0", Link::script, "/etc/vmm/scripts/mine"},
    }));
    INFO(text);
    CHECK(vif(text).link == link);
    CHECK(vif(text).script == script);
    CHECK(parse_vif(to_string(vif(text))) == vif(text));
}

TEST_CASE("Rates are kept as bytes in an interval")
{
    const auto [text, bytes, interval] = GENERATE(table<std::string, std::uint64_t, std::uint32_t>({
        {"8b/s@1s", 1, 1'000'000},
        {"1000B/s", 1000, 50'000},
        {"10Kb/s", 1250, 50'000},
        {"1MB/s@20ms", 1'000'000, 20'000},
        {"1GB/s@4000us", 1'000'000'000, 4000},
        {"1Gb/s@4000", 125'000'000, 4000},
    }));
    INFO(text);
    CHECK(vif("rate=" + text).rate == Vif_rate{bytes, interval});
}

TEST_CASE("Wrong interfaces say where and what would be right")
{
    const auto [text, message] = GENERATE(table<std::string, std::string>({
        {"vif = 'nat'", "a.cfg:3:7: vif: expected a list with one text for each interface, as in [ 'nat' ]"},
        {"vif = [ 1 ]", "a.cfg:3:9: vif: expected text such as 'mac=00:16:3e:01:02:03,bridge=br0'"},
        {"vif = [ 'nat',\n 'bridge=br0, macc=1' ]", "a.cfg:4:15: vif: \"macc\" is not known: did you mean "
                                                    "\"mac\"?"},
        {"vif = [ 'x=1' ]",
         "a.cfg:3:10: vif: \"x\" is not known: expected nat, mac, bridge, gatewaydev, type, "
         "model, vifname, script, ip, backend, rate, devid, mtu"},
        {"vif = [ 'mac' ]", "a.cfg:3:10: vif: expected \"=\" and a value after \"mac\""},
        {"vif = [ 'mac=1' ]", "a.cfg:3:10: vif: mac: \"1\" is not a MAC address: expected six bytes as in "
                              "00:16:3e:12:34:56"},
        {"vif = [ 'mac=01:16:3e:00:00:00' ]",
         "a.cfg:3:10: vif: mac: \"01:16:3e:00:00:00\" is a group address, which no interface can have: "
         "expected six bytes as in 00:16:3e:12:34:56"},
        {"vif = [ 'mac=00:00:00:00:00:00' ]",
         "a.cfg:3:10: vif: mac: \"00:00:00:00:00:00\" is the null address, which no interface can have: "
         "expected six bytes as in 00:16:3e:12:34:56"},
        {"vif = [ 'bridge=a/b' ]", "a.cfg:3:10: vif: bridge: expected the name of a network device, 1 to 15 "
                                   "letters, digits and . _ -, found \"a/b\""},
        {"vif = [ 'vifname=x234567890123456' ]", "a.cfg:3:10: vif: vifname: expected the name of a network "
                                                 "device, 1 to 15 letters, digits and . _ -, "
                                                 "found \"x234567890123456\""},
        {"vif = [ 'type=ioemu' ]", "a.cfg:3:10: vif: type: a PVH domain has no emulated network card: leave "
                                   "type out or give \"vif\""},
        {"vif = [ 'backend=net' ]", "a.cfg:3:10: vif: backend: \"net\": only Domain-0 serves network "
                                    "interfaces here: leave backend out"},
        {"vif = [ 'ip=10.0.0' ]", "a.cfg:3:10: vif: ip: \"10.0.0\" is not an IP address: expected one as in "
                                  "192.168.1.2, 10.76.0.0/24 or fd00::2"},
        {"vif = [ 'ip=10.0.0.1/33' ]",
         "a.cfg:3:10: vif: ip: \"10.0.0.1/33\" has a bad prefix length: expected "
         "0 to 32 after the '/'"},
        {"vif = [ 'rate=10' ]",
         "a.cfg:3:10: vif: rate: \"10\" is not a rate: expected a rate as in 10Mb/s or "
         "2MB/s@20ms"},
        {"vif = [ 'rate=1b/s' ]",
         "a.cfg:3:10: vif: rate: \"1b/s\" lets nothing through: expected a rate as in "
         "10Mb/s or 2MB/s@20ms"},
        {"vif = [ 'rate=99999999GB/s' ]", "a.cfg:3:10: vif: rate: \"99999999GB/s\" is too large: expected a "
                                          "rate as in 10Mb/s or 2MB/s@20ms"},
        {"vif = [ 'rate=1MB/s@0' ]", "a.cfg:3:10: vif: rate: \"1MB/s@0\" has a bad interval: expected a rate "
                                     "as in 10Mb/s or 2MB/s@20ms"},
        {"vif = [ 'rate=1MB/s@5000s' ]",
         "a.cfg:3:10: vif: rate: \"1MB/s@5000s\" has a bad interval: expected "
         "a rate as in 10Mb/s or 2MB/s@20ms"},
        {"vif = [ 'devid=4096' ]",
         "a.cfg:3:10: vif: devid: expected a number from 0 to 4095, found \"4096\""},
        {"vif = [ 'mtu=67' ]", "a.cfg:3:10: vif: mtu: expected a number from 68 to 65535, found \"67\""},
        {"vif = [ 'nat,bridge=br0' ]",
         "a.cfg:3:10: vif: \"nat\" does not go together with bridge= or another script="},
        {"vif = [ 'script=route' ]", "a.cfg:3:10: vif: a routed interface needs its address: add ip=ADDRESS"},
        {"vif = [ 'script=bridge' ]",
         "a.cfg:3:10: vif: script=bridge needs the name of the bridge: add bridge=NAME"},
        {"vif = [ 'script=route,bridge=b,ip=10.0.0.1' ]",
         "a.cfg:3:10: vif: bridge= does not go together with script=route"},
        {"vif = [ 'gatewaydev=eth0' ]", "a.cfg:3:10: vif: gatewaydev= is for routed interfaces: add "
                                        "script=route and ip=ADDRESS"},
        {"vif = [ 'devid=1', 'devid=1' ]",
         "a.cfg:3:7: vif: entries 1 and 2 both have devid 1: give one of them another"},
        {"vif = [ 'mac=00:16:3e:00:00:01', 'mac=00:16:3E:00:00:01' ]",
         "a.cfg:3:7: vif: entries 1 and 2 both have mac 00:16:3e:00:00:01: give one of them another"},
        {"vif = [ 'vifname=a', 'vifname=a' ]",
         "a.cfg:3:7: vif: entries 1 and 2 both have vifname a: give one of them another"},
    }));
    INFO(text);
    CHECK(error_of(text) == message);
}

TEST_CASE("Addresses nobody chose are the same at each start and differ between interfaces and domains")
{
    const auto first  = vifs_of("vif = [ 'nat', 'nat' ]");
    const auto second = vifs_of("vif = [ 'nat', 'nat' ]");
    REQUIRE(first.size() == 2);
    CHECK(first == second);
    CHECK(first[0].mac->to_string().starts_with("00:16:3e:"));
    CHECK((first[0].mac->bytes[3] & 0x80) == 0);
    CHECK(first[0].mac != first[1].mac);
    const auto other = vifs_of("name = 'b'\nvif = [ 'nat' ]");
    CHECK(other[0].mac != first[0].mac);

    const std::string uuid = "uuid = '01234567-89ab-cdef-0123-456789abcdef'\n";
    const auto by_uuid     = vifs_of(uuid + "vif = [ 'nat' ]");
    CHECK(by_uuid[0].mac != first[0].mac);
    CHECK(by_uuid == vifs_of(uuid + "name = 'b'\nvif = [ 'nat' ]"));
    CHECK(by_uuid[0].mac == Mac_address::generated("01234567-89ab-cdef-0123-456789abcdef", 0));
    // Written down, since a change of the rule would give every domain that exists a new address.
    CHECK(Mac_address::generated("name:a", 0).to_string() == "00:16:3e:66:43:26");
}

TEST_CASE("Device numbers fill the gaps")
{
    const auto vifs = vifs_of("vif = [ 'nat', 'devid=0', 'nat', 'devid=2', 'nat' ]");
    std::vector<unsigned> devids;
    for (const auto& vif : vifs)
        devids.push_back(*vif.devid);
    CHECK(devids == std::vector<unsigned>{1, 0, 3, 2, 4});
}

TEST_CASE("An emulated card's model is ignored with a warning")
{
    const auto result = read("name='a'\nkernel='/k'\nvif=['nat,model=e1000']");
    REQUIRE(result);
    REQUIRE(result->warnings.size() == 1);
    CHECK(result->warnings[0].to_string() ==
          "a.cfg:3:6: vif: model: ignored, a PVH domain has no emulated network card");
}

TEST_CASE("Interfaces survive the way through JSON and text")
{
    const auto config =
        read("name='a'\nkernel='/k'\nvif=['mac=00:16:3e:aa:bb:01,bridge=br0,rate=1Mb/s,mtu=1400', "
             "'script=route,ip=10.0.0.2 fd00::1/64,gatewaydev=eth0', 'nat,vifname=out', "
             "'script=/bin/mine']")
            .value()
            .config;
    CHECK(from_json(Json::parse(to_json(config).dump())) == config);
    CHECK(read(write(config)).value().config == config);
    CHECK(
        from_json(Json::parse(R"({"name":"a","kernel":"/k","vif":["nat","macc=1"]})")).error().to_string() ==
        "vif: entry 2: \"macc\" is not known: did you mean \"mac\"?");
    CHECK(from_json(Json::parse(R"({"name":"a","kernel":"/k","vif":"nat"})")).error().to_string() ==
          "vif: expected a list of strings");
    CHECK(from_json(Json::parse(R"({"name":"a","kernel":"/k","vif":["nat"]})"))->vifs[0].mac ==
          Mac_address::generated("name:a", 0));
}

TEST_CASE("Networks know what is in them")
{
    const auto net = [](std::string_view text) { return Ip_network::parse(text).value(); };
    CHECK(net("10.76.0.0/16").contains(net("10.76.9.1")));
    CHECK_FALSE(net("10.76.0.0/16").contains(net("10.77.9.1")));
    CHECK_FALSE(net("10.76.0.0/16").contains(net("10.0.0.0/8")));
    CHECK_FALSE(net("0.0.0.0/0").contains(net("::1")));
    CHECK(net("0.0.0.0/0").contains(net("1.2.3.4")));
    CHECK(net("fd00:1::/33").contains(net("fd00:1:7fff::1")));
    CHECK_FALSE(net("fd00:1::/33").contains(net("fd00:1:8000::1")));
    CHECK(net("10.76.3.9/20").network().to_string() == "10.76.0.0/20");
    CHECK(net("10.76.3.9/20").host().to_string() == "10.76.3.9");
}
