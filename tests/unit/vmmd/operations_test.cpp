// SPDX-License-Identifier: Apache-2.0
// The operations of the control socket on domains that exist, and their complaints.
#include "daemon_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using namespace vmm::test;
using control::Code;
using control::Json;

TEST_CASE("a domain is found by name, id and UUID")
{
    Daemon_fixture daemon;
    const Domid id         = daemon.create("demo");
    const std::string uuid = daemon.supervisor->domains().find(id)->uuid.to_string();
    for (const std::string& wanted : {std::string("demo"), std::string("1"), uuid}) {
        CHECK(daemon.perform("domid", {{"domain", wanted}})->at("domid") == 1);
        CHECK(daemon.perform("domname", {{"domain", wanted}})->at("name") == "demo");
    }
    CHECK(daemon.perform("domname", {{"domain", "0"}})->at("name") == "Domain-0");
    CHECK(code_of(daemon.perform("domid", {{"domain", "nobody"}})) == Code::no_domain);
    CHECK(code_of(daemon.perform("domid", {{"domain", "77"}})) == Code::no_domain);
    CHECK(code_of(daemon.perform("domid", {{"domain", 1}})) == Code::bad_request);
    CHECK(code_of(daemon.perform("domid")) == Code::bad_request);
}

TEST_CASE("unknown operations and bad arguments")
{
    Daemon_fixture daemon;
    CHECK(code_of(daemon.perform("fly")) == Code::unknown_op);
    CHECK(code_of(daemon.perform("create")) == Code::bad_request);
    CHECK(code_of(daemon.perform("create", {{"config", 3}})) == Code::bad_config);
    CHECK(code_of(daemon.perform("create", {{"config", Json::object()}, {"paused", "no"}})) ==
          Code::bad_request);
    CHECK(code_of(daemon.perform("list", {{"domains", 5}})) == Code::bad_request);
    CHECK(code_of(daemon.perform("list", {{"domains", {5}}})) == Code::bad_request);
    CHECK(code_of(daemon.perform("wait", {{"domid", -1}})) == Code::bad_request);
    CHECK(code_of(daemon.perform("wait", {{"domid", 99'999}})) == Code::bad_value);
}

TEST_CASE("list shows dom0, our domains and those of others")
{
    Daemon_fixture daemon;
    daemon.create("demo");
    const Domid foreign = *daemon.hypervisor.create({{}, 1, 0});
    daemon.store->write("/local/domain/2/name", "theirs").value();
    const Answer rows = daemon.perform("list", {{"long", true}});
    REQUIRE(rows);
    REQUIRE(rows->at("domains").size() == 3);
    CHECK(rows->at("domains")[0].at("name") == "Domain-0");
    CHECK(rows->at("domains")[0].at("state") == "r-----");
    CHECK_FALSE(rows->at("domains")[0].contains("config"));
    CHECK(rows->at("domains")[1].at("config").at("memory") == 32);
    CHECK(rows->at("domains")[1].at("console").get<std::string>().starts_with("/dev/pts/"));
    CHECK(rows->at("domains")[2].at("name") == "theirs");
    CHECK(rows->at("domains")[2].at("state") == "--p---");
    CHECK(daemon.perform("destroy", {{"domain", "theirs"}}));
    CHECK_FALSE(daemon.hypervisor.domains.contains(foreign));
}

TEST_CASE("pause, unpause, rename")
{
    Daemon_fixture daemon;
    const Domid id = daemon.create("demo");
    CHECK(daemon.perform("pause", {{"domain", "demo"}}));
    CHECK(daemon.hypervisor.domain(id).info.paused);
    CHECK(daemon.perform("unpause", {{"domain", "demo"}}));
    CHECK_FALSE(daemon.hypervisor.domain(id).info.paused);
    CHECK(daemon.perform("rename", {{"domain", "demo"}, {"name", "other"}})->at("name") == "other");
    CHECK(daemon.node("/local/domain/1/name") == "other");
    CHECK(daemon.state_text().find("\"other\"") != std::string::npos);
    CHECK(code_of(daemon.perform("rename", {{"domain", "other"}, {"name", "a b"}})) == Code::bad_value);
    CHECK(code_of(daemon.perform("rename", {{"domain", "other"}, {"name", "Domain-0"}})) == Code::exists);
    for (const char* op : {"pause", "destroy", "shutdown", "reboot", "console"}) {
        CHECK(code_of(daemon.perform(op, {{"domain", "0"}})) == Code::not_permitted);
    }
}

TEST_CASE("memory: the target within the limits, and the limits")
{
    Daemon_fixture daemon;
    const Domid id    = daemon.create("demo", {{"memory", 64}, {"maxmem", 128}});
    const auto& guest = daemon.hypervisor.domain(id);
    CHECK(guest.pages() >= 128 * 256); // until its balloon driver gives back
    CHECK(guest.pages() < 129 * 256);
    CHECK(daemon.node("/local/domain/1/memory/static-max") == "131072");
    CHECK(daemon.node("/local/domain/1/memory/target") == "65536");
    CHECK(daemon.perform("mem-set", {{"domain", "demo"}, {"kib", 48 * 1024}}));
    CHECK(daemon.node("/local/domain/1/memory/target") == "49152");
    CHECK(guest.info.max_memory_kib >= 48 * 1024);
    CHECK(guest.info.max_memory_kib < 52 * 1024);
    CHECK(code_of(daemon.perform("mem-set", {{"domain", "demo"}, {"kib", 200 * 1024}})) == Code::bad_value);
    CHECK(code_of(daemon.perform("mem-set", {{"domain", "demo"}, {"kib", 1024}})) == Code::bad_value);
    CHECK(code_of(daemon.perform("mem-max", {{"domain", "demo"}, {"kib", 32 * 1024}})) == Code::bad_value);
    CHECK(code_of(daemon.perform("mem-max", {{"domain", "demo"}, {"kib", 256 * 1024}})) == Code::bad_value);
    CHECK(daemon.perform("mem-max", {{"domain", "demo"}, {"kib", 100 * 1024}}));
    CHECK(code_of(daemon.perform("mem-set", {{"domain", "demo"}, {"kib", 101 * 1024}})) == Code::bad_value);
    CHECK(daemon.perform("mem-set", {{"domain", "demo"}, {"kib", 100 * 1024}}));
    CHECK(daemon.perform("list", {{"domains", {"demo"}}})->at("domains")[0].at("max_memory_kib") ==
          100 * 1024);
    CHECK(daemon.perform("mem-set", {{"domain", "0"}, {"kib", 900 * 1024}}));
    CHECK(code_of(daemon.perform("mem-set", {{"domain", "0"}, {"kib", 127 * 1024}})) == Code::bad_value);
    CHECK(daemon.node("/local/domain/0/memory/target") == "921600");
    // Less than `memory` was: what it is now can be read again.
    CHECK(daemon.perform("mem-set", {{"domain", "demo"}, {"kib", 50 * 1024}}));
    CHECK(daemon.perform("mem-max", {{"domain", "demo"}, {"kib", 60 * 1024}}));
    daemon.restart();
    CHECK(daemon.supervisor->domains().find(id) != nullptr);
}

TEST_CASE("shutdown is answered when the guest has taken note")
{
    Daemon_fixture daemon;
    const Domid id = daemon.create("demo");
    std::optional<Answer> answer;
    const Client client{[&](Answer a) { answer = std::move(a); }, [] { return true; }};
    const std::string op = GENERATE("shutdown", "reboot");
    daemon.operations->perform(op, {{"domain", "demo"}}, client);
    daemon.run_for(std::chrono::milliseconds(100));
    CHECK_FALSE(answer.has_value());
    const std::string node = "/local/domain/1/control/shutdown";
    CHECK(daemon.node(node) == (op == "shutdown" ? "poweroff" : "reboot"));
    SECTION("by emptying the node")
    {
        daemon.store->write(node, "").value();
        daemon.run_until([&] { return answer.has_value(); });
        CHECK((*answer)->at("domid") == 1);
    }
    SECTION("by ending")
    {
        daemon.guest_ends(id, Shutdown_reason::poweroff);
        daemon.run_until([&] { return answer.has_value(); });
        CHECK(answer->has_value());
    }
}

TEST_CASE("shutdown of a domain that cannot answer")
{
    Daemon_fixture daemon;
    const Domid id = daemon.create("demo", {{"paused", true}, {"on_poweroff", "preserve"}});
    CHECK(code_of(daemon.perform("shutdown", {{"domain", "demo"}})) == Code::bad_state);
    daemon.guest_ends(id, Shutdown_reason::poweroff);
    CHECK(code_of(daemon.perform("shutdown", {{"domain", "demo"}})) == Code::bad_state);
    CHECK(code_of(daemon.perform("sysrq", {{"domain", "demo"}, {"key", "ab"}})) == Code::bad_value);
    CHECK(code_of(daemon.perform("sysrq", {{"domain", "demo"}, {"key", "/"}})) == Code::bad_value);
}

TEST_CASE("what is shown about the host and the vCPUs")
{
    Daemon_fixture daemon;
    daemon.create("demo", {{"vcpus", 2}, {"maxvcpus", 2}, {"cpus", {"0-1", "all"}}});
    const Answer info = daemon.perform("info");
    REQUIRE(info);
    CHECK(info->at("xen_version") == "4.17.fake");
    CHECK(info->at("nr_cpus") == 8);
    CHECK_FALSE(info->contains("xen_commandline")); // empty: left out
    const Answer vcpus = daemon.perform("vcpu-list", {{"domains", {"demo"}}});
    REQUIRE(vcpus);
    REQUIRE(vcpus->at("vcpus").size() == 2);
    CHECK(vcpus->at("vcpus")[0].at("affinity") == "0-1");
    CHECK(vcpus->at("vcpus")[1].at("affinity") == "all");
    CHECK(vcpus->at("vcpus")[0].at("soft_affinity") == "all");
    CHECK(*daemon.perform("cpu-policy") ==
          Json{{"vendor", "AuthenticAMD"}, {"model", ""}, {"cpuid", "4000000:1:0:0:0:20"}});
    const Domid narrow = daemon.create("narrow", {{"cpuid", "host,avx2=0"}});
    CHECK(daemon.perform("cpu-policy", {{"domain", to_string(narrow)}})->at("cpuid") == "4000000:1");
    REQUIRE(daemon.perform("destroy", {{"domain", "narrow"}}));
    CHECK(daemon.perform("cpu-policy", {{"domain", "nobody"}}).error().code == Code::no_domain);
    CHECK(daemon.perform("dmesg", {{"clear", true}})->at("text") == "(FAKE) hello\n");
    CHECK(daemon.perform("dmesg")->at("text") == "");
    const Answer uptime = daemon.perform("uptime");
    REQUIRE(uptime->at("domains").size() == 2);
    CHECK(uptime->at("domains")[1].at("uptime_s") <= 20);
}
