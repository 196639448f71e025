// SPDX-License-Identifier: Apache-2.0
#include "fake_vmmd.hpp"
#include "toolstack/config/domain_config_json.hpp"
#include "toolstack/config/interpret.hpp"
#include "toolstack/config/write.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace vmm;
using test::Fake_vmmd;
using test::Json;
using test::run_xm;

namespace
{

constexpr const char* kConfig = "name = 'demo'\nkernel = '/boot/k'\nmemory = 64\n";

std::string put(const Fake_vmmd& fake, const std::string& name, const std::string& text)
{
    const auto path = fake.folder() + "/" + name;
    std::ofstream{path} << text;
    return path;
}

} // namespace

TEST_CASE("create sends the whole config and says the id")
{
    Fake_vmmd fake;
    fake.answer("create", {{"domid", 3}, {"name", "demo"}, {"uuid", "u"}});
    const auto path = put(fake, "demo.cfg", kConfig);
    const auto ran  = run_xm({"create", path, "vcpus=2"});
    CHECK(ran.err == "");
    CHECK(ran.exit == 0);
    CHECK(ran.out == "demo has been created with id 3\n");
    REQUIRE(fake.requests().size() == 1);
    const auto args = Json::parse(fake.requests()[0].substr(7));
    CHECK(args["paused"] == false);
    const auto config = config::from_json(args["config"]);
    REQUIRE(config);
    CHECK(config->name == "demo");
    CHECK(config->memory_mib == 64);
    CHECK(config->vcpus == 2);
}

TEST_CASE("create -p, -q and --json")
{
    Fake_vmmd fake;
    fake.answer("create", {{"domid", 3}, {"name", "demo"}});
    const auto path = put(fake, "demo.cfg", std::string{kConfig} + "vnc = 1\n");
    CHECK(run_xm({"create", "-p", path}).err ==
          "xm: " + path + ":4:1: vnc: ignored, a PVH domain has no emulated devices\n");
    CHECK(Json::parse(fake.requests()[0].substr(7))["paused"] == true);
    const auto quiet = run_xm({"create", "-q", path});
    CHECK(quiet.out + quiet.err == "");
    CHECK(Json::parse(run_xm({"create", "-q", "--json", path}).out)["domid"] == 3);
}

TEST_CASE("create -n prints the config with its defaults, needs no vmmd, and what it prints reads back")
{
    Fake_vmmd fake;
    const auto path = put(fake, "demo.cfg",
                          std::string{kConfig} + "cpus=['0-1']; extra='a\"\\\\b\\x01'; ramdisk='/r'\n"
                                                 "uuid='01234567-89ab-cdef-0123-456789abcdef'\n");
    const auto ran  = run_xm({"create", "-n", path});
    CHECK(ran.exit == 0);
    CHECK(fake.requests().empty());
    const auto again = put(fake, "again.cfg", ran.out);
    CHECK(run_xm({"create", "-n", again}).out == ran.out);
    CHECK(config::load(again, {})->config == config::load(path, {})->config);
    CHECK(config::from_json(Json::parse(run_xm({"create", "-n", "--json", path}).out)) ==
          config::load(path, {})->config);
}

TEST_CASE("A name without a slash is also looked for in the config directory")
{
    Fake_vmmd fake;
    ::setenv("VMM_CONFIG_DIR", fake.folder().c_str(), 1);
    put(fake, "web.cfg", "name='web'\nkernel='/k'\n");
    put(fake, "bare", "name='bare'\nkernel='/k'\n");
    CHECK(run_xm({"create", "-n", "web"}).out.starts_with("name = \"web\"\n"));
    CHECK(run_xm({"create", "-n", "web.cfg"}).out.starts_with("name = \"web\"\n"));
    CHECK(run_xm({"create", "-n", "-f", "bare"}).out.starts_with("name = \"bare\"\n"));
    const auto there = fake.folder() + "/none";
    const auto ran   = run_xm({"create", "-n", "none"});
    CHECK(ran.exit == 3);
    CHECK(ran.err ==
          "xm create: no config file none: looked for ./none, " + there + " and " + there + ".cfg\n");
    CHECK(run_xm({"create", "-n", "./web"}).exit == 3);
    ::unsetenv("VMM_CONFIG_DIR");
}

TEST_CASE("A whole config on the command line")
{
    const auto ran = run_xm({"create", "-n", "name=a", "kernel=/k", "extra=console=hvc0 quiet"});
    CHECK(ran.exit == 0);
    CHECK(ran.out.find("cmdline = \"console=hvc0 quiet\"\n") != std::string::npos);
}

TEST_CASE("A config that is wrong ends with code 3 and one line, as text or JSON")
{
    Fake_vmmd fake;
    const auto path = put(fake, "bad.cfg", "name = 'demo'\nmemry = 64\n");
    const auto ran  = run_xm({"create", path});
    CHECK(ran.exit == 3);
    CHECK(ran.err == "xm create: " + path + ":2:1: unknown key \"memry\": did you mean \"memory\"?\n");
    const auto json = run_xm({"create", "--json", path});
    CHECK(Json::parse(json.err)["error"]["code"] == "bad-config");
    CHECK(fake.requests().empty());
}

TEST_CASE("Words that are no config")
{
    CHECK(run_xm({"create"}).err ==
          "xm create: expected a config file or KEY=VALUE; 'xm help create' shows how\n");
    CHECK(run_xm({"create", "-n", "name=a", "b"}).err ==
          "xm create: \"b\" is neither the one config file nor KEY=VALUE\n");
}

TEST_CASE("What vmmd refuses is passed on as it is")
{
    Fake_vmmd fake;
    fake.refuse("create", control::Code::no_memory, "demo needs 66 MiB and 12 MiB are free");
    const auto path = put(fake, "demo.cfg", kConfig);
    const auto ran  = run_xm({"create", path});
    CHECK(ran.exit == 1);
    CHECK(ran.out == "");
    CHECK(ran.err == "xm create: demo needs 66 MiB and 12 MiB are free\n");
}
