// SPDX-License-Identifier: Apache-2.0
// The operations of the control socket on shares, vCPUs and CPUs.
#include "daemon_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using namespace vmm::test;
using control::Code;
using control::Json;

TEST_CASE("shares are set and shown, and hold for the domain's restart")
{
    Daemon_fixture daemon;
    const Domid id = daemon.create("demo", {{"cpu_weight", 100}, {"cap", 30}, {"vcpus", 2}, {"maxvcpus", 2}});
    CHECK(daemon.hypervisor.domain(id).scheduling.weight == 100);
    const auto shares = [&](const std::string& name) {
        const Answer listed = daemon.perform("sched-list", {{"domains", {name}}});
        REQUIRE(listed);
        const Json& row = listed->at("domains").at(0);
        return std::pair(row.at("weight").get<unsigned>(), row.at("cap").get<unsigned>());
    };
    CHECK(shares("demo") == std::pair(100U, 30U));
    CHECK(shares("Domain-0") == std::pair(256U, 0U));
    CHECK(daemon.perform("sched-list")->at("domains").size() == 2);

    const Answer set = daemon.perform("sched-set", {{"domain", "demo"}, {"weight", 512}});
    REQUIRE(set);
    CHECK(*set == Json{{"domid", 1}, {"weight", 512}, {"cap", 30}});
    CHECK(daemon.perform("sched-set", {{"domain", "demo"}, {"cap", 200}}));
    CHECK(daemon.perform("sched-set", {{"domain", "Domain-0"}, {"weight", 1024}}));
    CHECK(shares("Domain-0") == std::pair(1024U, 0U));

    const auto refused = [&](const Json& what) {
        Json args      = what;
        args["domain"] = "demo";
        return daemon.perform("sched-set", args);
    };
    CHECK(code_of(refused({{"weight", 0}})) == Code::bad_value);
    CHECK(refused({{"weight", 65'536}}).error().message == "weight: 65536 is out of range, give 1 to 65535");
    CHECK(refused({{"cap", 201}}).error().message ==
          "cap: 201 is out of range, give 0 to 200 (percent of one CPU; 0 is no limit)");
    CHECK(code_of(refused({{"weight", "much"}})) == Code::bad_request);
    daemon.hypervisor.order_failure("set_scheduling", Errc::unsupported);
    CHECK(code_of(refused({{"weight", 5}})) == Code::unsupported);
    CHECK(shares("demo") == std::pair(512U, 200U));

    daemon.guest_ends(id, Shutdown_reason::reboot);
    daemon.run_until([&] { return daemon.supervisor->domains().find(Domid{2}) != nullptr; });
    CHECK(shares("demo") == std::pair(512U, 200U));
}

TEST_CASE("vCPUs are pinned, and stay so over the domain's restart")
{
    Daemon_fixture daemon;
    const Domid id = daemon.create("demo", {{"vcpus", 2}, {"maxvcpus", 2}, {"cpus_soft", {"4-7", "4-7"}}});
    const auto pin = [&](Json args) {
        args["domain"] = "demo";
        return daemon.perform("vcpu-pin", args);
    };
    CHECK(daemon.hypervisor.domain(id).soft_affinity.at(1) == Cpu_bits{0xf0});
    CHECK(pin({{"vcpu", 1}, {"hard", "1-3"}}));
    CHECK(pin({{"soft", "2"}}));
    const auto check = [&] {
        const Answer rows = daemon.perform("vcpu-list", {{"domains", {"demo"}}});
        CHECK(rows->at("vcpus")[0].at("affinity") == "all");
        CHECK(rows->at("vcpus")[1].at("affinity") == "1-3");
        CHECK(rows->at("vcpus")[0].at("soft_affinity") == "2");
        CHECK(rows->at("vcpus")[1].at("soft_affinity") == "2");
    };
    check();
    CHECK(pin({{"vcpu", 2}, {"hard", "0"}}).error().message ==
          "\"demo\" has no vCPU 2: they are numbered from 0 to 1");
    CHECK(pin({{"vcpu", 0}, {"hard", "8-9"}}).error().message ==
          "this machine has no processor 8-9; it has 0 to 7");
    CHECK(code_of(pin({{"vcpu", 0}, {"hard", "3-1"}})) == Code::bad_value);
    CHECK(code_of(pin({{"vcpu", 0}})) == Code::bad_request);
    CHECK(code_of(pin({{"vcpu", "0"}, {"hard", "1"}})) == Code::bad_request);
    check();
    daemon.guest_ends(id, Shutdown_reason::reboot);
    daemon.run_until([&] { return daemon.supervisor->domains().find(Domid{2}) != nullptr; });
    check();
    CHECK(daemon.perform("vcpu-pin", {{"domain", "Domain-0"}, {"hard", "0"}}));
}

TEST_CASE("a domain moves to CPUs of its own and back, and its weight outlives that")
{
    Daemon_fixture daemon;
    const Domid id =
        daemon.create("demo", {{"cpu_weight", 100}, {"vcpus", 2}, {"maxvcpus", 2}, {"cpus", {"0-1", "2"}}});
    const auto move = [&](const char* pool) {
        return daemon.perform("pool-move", {{"domain", "demo"}, {"pool", pool}});
    };
    REQUIRE(daemon.perform("pool-cpus", {{"pool", "Pool-0"}, {"cpus", "6-7"}}));
    REQUIRE(daemon.perform("pool-create", {{"name", "apart"}, {"cpus", "7"}, {"scheduler", "null"}}));
    CHECK(move("apart").error().message ==
          "the CPU pool \"apart\" has the null scheduler, where each vCPU has a CPU to itself: of 1 CPUs 0 "
          "are taken, and \"demo\" needs 2");
    REQUIRE(daemon.perform("pool-cpus", {{"pool", "apart"}, {"cpus", "6"}, {"add", true}}));
    daemon.hypervisor.order_failure("set_scheduling", Errc::unsupported);
    REQUIRE(move("apart"));
    CHECK(move("apart")); // it is there
    CHECK(daemon.hypervisor.domain(id).affinity.empty());

    daemon.hypervisor.order_failure("set_scheduling", Errc::unsupported);
    daemon.guest_ends(id, Shutdown_reason::reboot);
    daemon.run_until([&] { return daemon.supervisor->domains().find(Domid{2}) != nullptr; });
    auto& restarted = daemon.hypervisor.domain(Domid{2});
    CHECK(restarted.info.pool == 1);
    CHECK(restarted.affinity.empty());
    CHECK(restarted.scheduling.weight != 100);
    REQUIRE(move("Pool-0"));
    CHECK(restarted.info.pool == 0);
    CHECK(restarted.scheduling.weight == 100);
}

TEST_CASE("vCPUs are offered to a guest and taken back through the store")
{
    Daemon_fixture daemon;
    const Domid id = daemon.create("demo", {{"vcpus", 2}, {"maxvcpus", 4}});
    const auto set = [&](const char* name, unsigned count) {
        return daemon.perform("vcpu-set", {{"domain", name}, {"count", count}});
    };
    const auto offered = [&](const std::string& path) {
        std::string all;
        for (unsigned cpu = 0; cpu < 4; ++cpu) {
            all += daemon.node(path + "/cpu/" + std::to_string(cpu) + "/availability") + " ";
        }
        return all;
    };
    CHECK(offered("/local/domain/1") == "online online offline offline ");
    CHECK(*set("demo", 3) == Json{{"domid", 1}, {"vcpus", 3}});
    CHECK(offered("/local/domain/1") == "online online online offline ");
    CHECK(daemon.store->permissions("/local/domain/1/cpu/2/availability").value() ==
          store::Permissions{{kDom0, store::Access::none}, {id, store::Access::read}});
    CHECK(set("demo", 1));
    CHECK(offered("/local/domain/1") == "online offline offline offline ");
    CHECK(set("demo", 5).error().message ==
          "\"demo\" can have 1 to 4 vCPUs, not 5; maxvcpus= in its file sets the limit");
    CHECK(code_of(set("demo", 0)) == Code::bad_value);
    CHECK(code_of(daemon.perform("vcpu-set", {{"domain", "demo"}})) == Code::bad_request);
    CHECK(set("Domain-0", 1));
    CHECK(offered("/local/domain/0") == "online (absent) (absent) (absent) ");
    CHECK(set("Domain-0", 2).error().message.find("dom0_max_vcpus=") != std::string::npos);

    daemon.guest_ends(id, Shutdown_reason::reboot);
    daemon.run_until([&] { return daemon.supervisor->domains().find(Domid{2}) != nullptr; });
    CHECK(offered("/local/domain/2") == "online offline offline offline ");
}

TEST_CASE("a processor of the machine goes out of use and comes back")
{
    Daemon_fixture daemon;
    const auto set = [&](unsigned cpu, bool online) {
        return daemon.perform("cpu-online", {{"cpu", cpu}, {"online", online}});
    };
    REQUIRE(set(7, false));
    CHECK(daemon.hypervisor.offline_cpus == std::set{7u});
    CHECK(set(7, false).error().message == "CPU 7 is offline already");
    REQUIRE(set(7, true));
    CHECK(set(7, true).error().message == "CPU 7 is online already");
    CHECK(daemon.hypervisor.offline_cpus.empty());

    CHECK(set(8, false).error().message == "this machine has no processor 8; it has 0 to 7");
    CHECK(code_of(set(0, false)) == Code::not_permitted);
    daemon.hypervisor.order_failure("set_cpu_online", Errc::busy, 1);
    CHECK(set(6, false).error().message.find("last one of a CPU pool") != std::string::npos);
}

TEST_CASE("CPU pools are made, filled, named, emptied and unmade")
{
    Daemon_fixture daemon;
    daemon.create("demo");
    const auto pools   = [&] { return daemon.perform("pool-list")->at("pools"); };
    const auto message = [](const Answer& answer) { return answer ? "" : answer.error().message; };
    CHECK(pools().dump() ==
          R"([{"id":0,"name":"Pool-0","cpus":[0,1,2,3,4,5,6,7],"scheduler":"credit2","domains":2}])");
    CHECK(message(daemon.perform("pool-create", {{"name", "apart"}, {"cpus", "6-7"}})) ==
          "CPU 6 is in a pool already: take it from there first, with xm cpupool-cpu-remove");
    REQUIRE(daemon.perform("pool-cpus", {{"pool", "0"}, {"cpus", "5-7"}}));
    CHECK(daemon.perform("pool-list")->at("free_cpus") == Json{5, 6, 7});

    daemon.hypervisor.order_failure("add_to_pool", Errc::io, 2);
    CHECK_FALSE(daemon.perform("pool-create", {{"name", "apart"}, {"cpus", "6-7"}}));
    CHECK(pools().size() == 1); // nothing of it is left
    CHECK(daemon.perform("pool-list")->at("free_cpus") == Json{5, 6, 7});

    const Answer made =
        daemon.perform("pool-create", {{"name", "apart"}, {"cpus", "6-7"}, {"scheduler", "null"}});
    REQUIRE(made);
    CHECK(*made == Json{{"id", 1}, {"name", "apart"}});
    CHECK(daemon.node("/local/pool/1/name") == "apart");
    CHECK(pools()[1].at("scheduler") == "null");
    CHECK(code_of(daemon.perform("pool-create", {{"name", "apart"}})) == Code::exists);
    CHECK(code_of(daemon.perform("pool-create", {{"name", "a b"}})) == Code::bad_value);
    CHECK(code_of(daemon.perform("pool-create", {{"name", "b"}, {"scheduler", "fast"}})) == Code::bad_value);
    CHECK(message(daemon.perform("pool-create", {{"name", "b"}, {"cpus", "8"}})) ==
          "this machine has no processor 8; it has 0 to 7");

    CHECK(daemon.perform("pool-move", {{"domain", "demo"}, {"pool", "apart"}})->at("pool") == "apart");
    CHECK(pools()[1].at("domains") == 1);
    CHECK(message(daemon.perform("pool-cpus", {{"pool", "apart"}, {"cpus", "6-7"}})) ==
          "\"apart\" has domains, which need a CPU: leave it one");
    CHECK(message(daemon.perform("pool-cpus", {{"pool", "apart"}, {"cpus", "0"}, {"add", true}})) ==
          "CPU 0 is in another pool: take it from there first");
    CHECK(message(daemon.perform("pool-cpus", {{"pool", "apart"}, {"cpus", "6"}, {"add", true}})) ==
          "CPU 6 is in \"apart\" already");
    CHECK(message(daemon.perform("pool-cpus", {{"pool", "apart"}, {"cpus", "0"}})) ==
          "CPU 0 is not in \"apart\"");
    CHECK(daemon.perform("pool-cpus", {{"pool", "apart"}, {"cpus", "5"}, {"add", true}}));
    CHECK(pools()[1].at("cpus") == Json{5, 6, 7});
    CHECK(message(daemon.perform("pool-destroy", {{"pool", "apart"}})) ==
          "\"apart\" has 1 domains: move them away with xm cpupool-migrate");
    CHECK(code_of(daemon.perform("pool-move", {{"domain", "Domain-0"}, {"pool", "apart"}})) ==
          Code::not_permitted);
    CHECK(code_of(daemon.perform("pool-move", {{"domain", "demo"}, {"pool", "other"}})) == Code::bad_value);

    CHECK(daemon.perform("pool-move", {{"domain", "demo"}, {"pool", "Pool-0"}}));
    CHECK(daemon.perform("pool-rename", {{"pool", "apart"}, {"name", "alone"}}));
    CHECK(daemon.perform("pool-destroy", {{"pool", "alone"}}));
    CHECK(pools().size() == 1);
    CHECK(daemon.node("/local/pool/1/name") == "(absent)");
    CHECK(code_of(daemon.perform("pool-destroy", {{"pool", "Pool-0"}})) == Code::not_permitted);
}
