// SPDX-License-Identifier: Apache-2.0
// Creation is a transaction: a complete domain or nothing, whatever fails and whoever goes away.
#include "daemon_fixture.hpp"
#include "held_call.hpp"
#include "stuck_device.hpp"

#include <catch2/catch.hpp>
#include <xen/domctl.h>

#include <algorithm>

using namespace vmm;
using namespace vmm::test;
using control::Code;
using control::Json;

TEST_CASE("a created domain is complete: running, in the store, with console and state")
{
    Daemon_fixture daemon;
    const Domid id           = daemon.create("demo", {{"vcpus", 2}, {"maxvcpus", 3}, {"cpus", {"0-1"}}});
    const Fake_domain& guest = daemon.hypervisor.domain(id);
    CHECK_FALSE(guest.info.paused);
    CHECK(guest.affinity.at(0) == std::vector<std::uint8_t>{3});
    const std::string base = "/local/domain/1";
    CHECK(daemon.node(base + "/name") == "demo");
    CHECK(daemon.node(base + "/memory/target") == "32768");
    CHECK(daemon.node(base + "/memory/static-max") == "32768");
    CHECK(daemon.node(base + "/cpu/1/availability") == "online");
    CHECK(daemon.node(base + "/cpu/2/availability") == "offline");
    CHECK(daemon.node(base + "/console/port") == "2");
    CHECK(daemon.node(base + "/console/tty").starts_with("/dev/pts/"));
    CHECK(daemon.node(daemon.node(base + "/vm") + "/name") == "demo");
    // The guest owns what it answers on, and may only read the rest.
    using store::Access;
    CHECK(daemon.store->permissions(base + "/control/shutdown").value().front().domid == id);
    CHECK(daemon.store->permissions(base + "/name").value() ==
          store::Permissions{{kDom0, Access::none}, {id, Access::read}});
    CHECK(daemon.store->is_introduced(id));
    CHECK(daemon.hypervisor.bound_ports() == 2);
    CHECK(daemon.state_text().find("\"demo\"") != std::string::npos);
}

TEST_CASE("a domain has the tables and the clock that its config asks for")
{
    ::setenv("TZ", "EST5", 1); // five hours behind UTC
    Daemon_fixture daemon;
    const auto of = [&](Domid id) -> const Fake_domain& { return daemon.hypervisor.domain(id); };

    const Fake_domain& plain = of(daemon.create("plain"));
    CHECK_FALSE(plain.shape.event_channels);
    CHECK_FALSE(plain.shape.grant_frames);
    CHECK_FALSE(plain.shape.maptrack_frames);
    CHECK(plain.time_offset == 0);

    const Fake_domain& wide = of(daemon.create(
        "wide", {{"max_event_channels", 4096}, {"max_grant_frames", 256}, {"max_maptrack_frames", 8}}));
    CHECK(wide.shape.event_channels == 4096);
    CHECK(wide.shape.grant_frames == 256);
    CHECK(wide.shape.maptrack_frames == 8);

    CHECK(of(daemon.create("later", {{"rtc_timeoffset", 60}})).time_offset == 60);
    CHECK(of(daemon.create("local", {{"localtime", true}})).time_offset == -5 * 3600);
    CHECK(of(daemon.create("both", {{"localtime", true}, {"rtc_timeoffset", -60}})).time_offset ==
          -5 * 3600 - 60);
    ::unsetenv("TZ");
}

TEST_CASE("a domain created paused stays so")
{
    Daemon_fixture daemon;
    CHECK(daemon.hypervisor.domain(daemon.create("demo", {{"paused", true}})).info.paused);
}

TEST_CASE("a domain sees the processor that cpuid = asks for, or is not made")
{
    Daemon_fixture daemon;
    const auto free = daemon.hypervisor.free_pages;
    const auto seen = [&](Domid id) {
        return cpu::features_of(daemon.hypervisor.domain(id).cpu_policy).to_string();
    };
    CHECK(seen(daemon.create("a")) == "4000000:1:0:0:0:20");
    CHECK(seen(daemon.create("b", {{"cpuid", "host,avx2=0"}})) == "4000000:1");
    CHECK(seen(daemon.create("c", {{"cpuid", "4000000:0:0:0:0:20,avx2=0"}})) == "4000000");
    for (const auto* name : {"a", "b", "c"}) {
        REQUIRE(daemon.perform("destroy", {{"domain", name}}));
    }
    const Answer refused = daemon.perform("create", daemon.create_args("d", {{"cpuid", "host,avx512f=1"}}));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("cpuid: this host does not offer avx512f") != std::string::npos);
    daemon.check_nothing_left(free);
}

TEST_CASE("whatever fails on the way, nothing is left")
{
    Daemon_fixture daemon;
    const auto free             = daemon.hypervisor.free_pages;
    const auto [operation, nth] = GENERATE(table<const char*, unsigned>({{"create", 1},
                                                                         {"cpu_policy", 1},
                                                                         {"set_cpu_policy", 1},
                                                                         {"set_affinity", 1},
                                                                         {"set_scheduling", 1},
                                                                         {"set_time_offset", 1},
                                                                         {"claim", 1},
                                                                         {"populate", 1},
                                                                         {"populate", 2},
                                                                         {"map", 1},
                                                                         {"map", 2},
                                                                         {"map_grant_table", 1},
                                                                         {"set_param", 3},
                                                                         {"alloc_unbound", 2},
                                                                         {"set_context", 1},
                                                                         {"map_ring", 2},
                                                                         {"bind", 2},
                                                                         {"unpause", 1}}));
    daemon.hypervisor.order_failure(operation, Errc::io, nth);
    const Answer made = daemon.perform(
        "create",
        daemon.create_args("demo",
                           {{"cpus", {"0"}}, {"cap", 10}, {"cpuid", "host,avx2=0"}, {"rtc_timeoffset", 1}}));
    INFO(operation << " " << nth);
    REQUIRE_FALSE(made);
    CHECK(made.error().message.find("refused") != std::string::npos);
    daemon.check_nothing_left(free);
    // The name is free again.
    daemon.create("demo");
}

TEST_CASE("a console that cannot be had costs the console only")
{
    Daemon_fixture daemon;
    daemon.hypervisor.order_failure("map_ring", Errc::io);
    log::set_level(log::Level::error);
    const Domid id       = daemon.create("demo");
    const Answer console = daemon.perform("console", {{"domain", "demo"}});
    REQUIRE_FALSE(console);
    CHECK(console.error().code == Code::bad_state);
    CHECK(daemon.store->is_introduced(id));
}

TEST_CASE("errors carry the code and the reason that xm shows")
{
    Daemon_fixture daemon(40);
    const auto refused = [&](const Json& more) {
        const Answer made = daemon.perform("create", daemon.create_args("demo", more));
        REQUIRE_FALSE(made);
        return made.error();
    };
    CHECK(refused({{"kernel", "/nowhere/vmlinuz"}}).code == Code::no_file);
    CHECK(refused({{"kernel", "/etc/passwd"}}).code == Code::bad_kernel);
    CHECK(refused({{"ramdisk", "/nowhere/initrd"}}).code == Code::no_file);
    CHECK(refused({{"memory", 3}}).code == Code::bad_config);
    CHECK(refused({{"cpus", {"100"}}}).code == Code::bad_value);
    CHECK(refused({{"disk", {{{"vdev", "nodisk"}, {"target", "/a"}}}}}).code == Code::bad_config);
    const auto memory = refused({{"memory", 64}, {"maxmem", 64}});
    CHECK(memory.code == Code::no_memory);
    CHECK(memory.message.find("40 MiB are free") != std::string::npos);
    daemon.check_nothing_left(40 * 256);
}

TEST_CASE("a name or UUID belongs to one domain, made or in the making")
{
    Daemon_fixture daemon;
    const std::string uuid = "11111111-2222-3333-4444-555555555555";
    daemon.create("one", {{"uuid", uuid}});
    CHECK(daemon.perform("create", daemon.create_args("one")).error().code == Code::exists);
    CHECK(daemon.perform("create", daemon.create_args("two", {{"uuid", uuid}})).error().code == Code::exists);
    CHECK(daemon.perform("create", daemon.create_args("Domain-0")).error().code == Code::exists);
    // Two at once: the second finds the first under way.
    std::vector<Answer> answers;
    const Client client{[&](Answer answer) { answers.push_back(std::move(answer)); }, [] { return true; }};
    daemon.operations->perform("create", daemon.create_args("three"), client);
    daemon.operations->perform("create", daemon.create_args("three"), client);
    daemon.run_until([&] { return answers.size() == 2; });
    CHECK_FALSE(answers[0]);
    CHECK(answers[1]);
}

TEST_CASE("a client that goes takes its half-made domain with it")
{
    Daemon_fixture daemon;
    const auto free  = daemon.hypervisor.free_pages;
    unsigned answers = 0;
    SECTION("while the kernel is read")
    {
        const Client client{[&](const Answer&) { ++answers; }, [] { return true; }};
        const auto cancel = daemon.operations->perform("create", daemon.create_args("demo"), client);
        REQUIRE(cancel);
        cancel();
        daemon.run_until([&] { return answers == 1; });
    }
    SECTION("while the domain is built")
    {
        const Client client{[&](const Answer&) { ++answers; }, [] { return false; }};
        daemon.operations->perform("create", daemon.create_args("demo"), client);
        daemon.run_until([&] { return answers == 1; });
        CHECK(std::find(daemon.hypervisor.calls.begin(), daemon.hypervisor.calls.end(), "create 1") !=
              daemon.hypervisor.calls.end());
    }
    SECTION("while it is given its memory, during which the daemon does other things")
    {
        const Client client{[&](const Answer&) { ++answers; }, [] { return true; }};
        Held_call populate(daemon.hypervisor, "populate");
        const auto cancel = daemon.operations->perform("create", daemon.create_args("demo"), client);
        daemon.run_until([&] { return populate.is_held(); });
        CHECK(daemon.perform("list")->at("domains").size() == 1);
        CHECK(code_of(daemon.perform("unpause", {{"domain", "1"}})) == Code::bad_state);
        CHECK(code_of(daemon.perform("console", {{"domain", "demo"}})) == Code::bad_state);
        cancel();
        populate.let_go();
        daemon.run_until([&] { return answers == 1; });
    }
    CHECK(answers == 1);
    daemon.check_nothing_left(free);
}

TEST_CASE("a domain whose devices are being plugged is nobody's to touch, but to destroy")
{
    Stuck_device disks("vbd");
    Daemon_fixture daemon;
    const auto free = daemon.hypervisor.free_pages;
    daemon.devices->add(disks);
    Pending creation(daemon, "create",
                     daemon.create_args("demo", {{"disk", {{{"vdev", "xvda"}, {"target", "/a"}}}}}));
    daemon.run_until([&] { return disks.is_asked(); });
    const std::string named = GENERATE(as<std::string>{}, "demo", "1");
    CHECK(daemon.perform("list")->at("domains").size() == 1);
    CHECK(code_of(daemon.perform("unpause", {{"domain", named}})) == Code::bad_state);
    Pending destruction(daemon, "destroy", {{"domain", named}});
    disks.give_up();
    CHECK(destruction.finish(daemon));
    CHECK_FALSE(creation.finish(daemon));
    daemon.check_nothing_left(free);
}

TEST_CASE("while a large domain is destroyed the daemon does other things")
{
    Daemon_fixture daemon;
    const auto free = daemon.hypervisor.free_pages;
    daemon.create("demo");
    Held_call destroy(daemon.hypervisor, "destroy");
    Pending first(daemon, "destroy", {{"domain", "demo"}});
    Pending second(daemon, "destroy", {{"domain", "demo"}});
    daemon.run_until([&] { return destroy.is_held(); });
    CHECK(daemon.perform("list")->at("domains").size() == 2);
    CHECK(code_of(daemon.perform("create", daemon.create_args("demo"))) == Code::exists);
    CHECK_FALSE(first.got->has_value());
    destroy.let_go();
    CHECK(first.finish(daemon));
    CHECK(second.finish(daemon));
    daemon.check_nothing_left(free);
}

TEST_CASE("twenty domains made and destroyed leave the memory as it was")
{
    Daemon_fixture daemon;
    const auto free = daemon.hypervisor.free_pages;
    for (int round = 0; round < 20; ++round) {
        daemon.create("demo");
        REQUIRE(daemon.perform("destroy", {{"domain", "demo"}}));
        REQUIRE(daemon.hypervisor.free_pages == free);
    }
    daemon.check_nothing_left(free);
}

TEST_CASE("where vCPUs have CPUs to themselves, a domain for which there are too few is refused")
{
    Daemon_fixture daemon;
    daemon.hypervisor.cpu_pools.at(0).scheduler = XEN_SCHEDULER_NULL;
    daemon.create("first", {{"vcpus", 4}, {"maxvcpus", 4}});
    const Answer second =
        daemon.perform("create", daemon.create_args("second", {{"vcpus", 4}, {"maxvcpus", 4}}));
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Code::bad_state);
    CHECK(second.error().message == "the CPU pool \"Pool-0\" has the null scheduler, where each vCPU has a "
                                    "CPU to itself: of 8 CPUs 5 are "
                                    "taken, and \"second\" needs 4");
    daemon.create("third", {{"vcpus", 3}, {"maxvcpus", 3}});
}

TEST_CASE("a domain is created in its pool, and comes back there")
{
    Daemon_fixture daemon;
    CHECK(daemon.perform("create", daemon.create_args("demo", {{"pool", "apart"}})).error().message ==
          "pool: there is no CPU pool \"apart\": xm cpupool-list shows those there are");
    REQUIRE(daemon.perform("pool-create", {{"name", "apart"}}));
    CHECK(daemon.perform("create", daemon.create_args("demo", {{"pool", "apart"}})).error().message ==
          "the CPU pool \"apart\" has no CPUs: give it some with xm cpupool-cpu-add");
    REQUIRE(daemon.perform("pool-cpus", {{"pool", "Pool-0"}, {"cpus", "7"}}));
    REQUIRE(daemon.perform("pool-cpus", {{"pool", "apart"}, {"cpus", "7"}, {"add", true}}));
    const Domid id = daemon.create("demo", {{"pool", "apart"}});
    CHECK(daemon.hypervisor.domain(id).info.pool == 1);
    REQUIRE(daemon.perform("pool-rename", {{"pool", "apart"}, {"name", "alone"}}));
    daemon.guest_ends(id, Shutdown_reason::reboot);
    daemon.run_until([&] { return daemon.supervisor->domains().find(Domid{2}) != nullptr; });
    CHECK(daemon.hypervisor.domain(Domid{2}).info.pool == 1);
}
