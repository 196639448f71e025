// SPDX-License-Identifier: Apache-2.0
// One domain out of another that runs, and all that may go wrong on the way.
#include "daemon_fixture.hpp"

#include "toolstack/config/domain_config_json.hpp"
#include "toolstack/save/domain_image.hpp"
#include "toolstack/vmmd/domain_nodes.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using namespace vmm::test;
using control::Code;
using control::Json;

namespace
{

// The configuration of "a" for another domain.
Json fork_args(Daemon_fixture& daemon, const std::string& name, const Json& more = Json::object())
{
    auto config = daemon.supervisor->domains().find_name("a")->config;
    config.name = name;
    config.uuid.reset();
    Json args{{"domain", "a"}, {"config", config::to_json(config)}};
    args.update(more);
    return args;
}

void guest_suspends(Daemon_fixture& daemon, Domid id)
{
    const auto node = domain_path(id) + "/control/shutdown";
    daemon.run_until([&] { return daemon.node(node) == "suspend"; });
    daemon.store->write(node, "").value();
    daemon.guest_ends(id, Shutdown_reason::suspend);
}

Answer forked(Daemon_fixture& daemon, Domid parent, const Json& args)
{
    Pending pending(daemon, "fork", args);
    guest_suspends(daemon, parent);
    return pending.finish(daemon);
}

void check_runs_on(Daemon_fixture& daemon, Domid id)
{
    CHECK_FALSE(daemon.hypervisor.domain(id).info.shutdown);
    CHECK_FALSE(daemon.hypervisor.domain(id).info.paused);
}

} // namespace

TEST_CASE("a fork has the memory and the processors of its parent, and an identity of its own")
{
    Daemon_fixture daemon;
    const auto free  = daemon.hypervisor.free_pages;
    const Domid a    = daemon.create("a", {{"memory", 24}, {"maxmem", 32}, {"cpuid", "host,avx2=0"}});
    Fake_domain& old = daemon.hypervisor.domain(a);
    std::memset(old.memory + 0x1234567, 'x', 70000);
    const auto context = old.context;
    const auto made    = forked(daemon, a, fork_args(daemon, "b"));
    INFO((made ? "" : made.error().message));
    REQUIRE(made);
    const Domid b{made->at("domid").get<std::uint16_t>()};
    Fake_domain& own = daemon.hypervisor.domain(b);
    CHECK(own.read(0x1234000, 80000) == old.read(0x1234000, 80000));
    CHECK(own.context == context); // it finds itself restored, its parent that nothing came of it
    CHECK(old.context != context);
    CHECK(own.cpu_policy == old.cpu_policy);
    CHECK(own.claimed == 0);
    CHECK(daemon.node(domain_path(b) + "/name") == "b");
    CHECK(daemon.supervisor->domains().find(b)->uuid != daemon.supervisor->domains().find(a)->uuid);
    CHECK(daemon.supervisor->domains().find(b)->target_kib == 24 * 1024);
    check_runs_on(daemon, a);
    check_runs_on(daemon, b);

    REQUIRE(daemon.perform("destroy", {{"domain", "a"}}));
    REQUIRE(daemon.perform("destroy", {{"domain", "b"}}));
    daemon.check_nothing_left(free);
}

TEST_CASE("a paused domain is forked, and stays paused")
{
    Daemon_fixture daemon;
    const Domid a = daemon.create("a");
    REQUIRE(daemon.perform("pause", {{"domain", "a"}}));
    daemon.hypervisor.calls.clear();
    const auto made = forked(daemon, a, fork_args(daemon, "b", {{"paused", true}}));
    REQUIRE(made);
    CHECK(std::ranges::count(daemon.hypervisor.calls, "pause " + to_string(a)) == 1); // Xen counts them
    CHECK(daemon.hypervisor.domain(a).info.paused);
    CHECK_FALSE(daemon.hypervisor.domain(a).info.shutdown);
    CHECK(daemon.hypervisor.domain(Domid{made->at("domid").get<std::uint16_t>()}).info.paused);
}

TEST_CASE("a fork that fails leaves the parent as it was, and nothing else")
{
    Daemon_fixture daemon;
    const Domid a     = daemon.create("a");
    const auto free   = daemon.hypervisor.free_pages;
    const bool paused = GENERATE(false, true);
    if (paused)
        REQUIRE(daemon.perform("pause", {{"domain", "a"}}));
    SECTION("its memory cannot be forked")
    {
        daemon.hypervisor.order_failure("fork_memory", Errc::out_of_memory);
    }
    SECTION("there is no room") { daemon.hypervisor.order_failure("claim", Errc::out_of_memory); }
    SECTION("its processors cannot be read") { daemon.hypervisor.order_failure("context", Errc::io); }
    SECTION("there can be no further domain") { daemon.hypervisor.order_failure("create", Errc::io); }
    const auto made = forked(daemon, a, fork_args(daemon, "b"));
    REQUIRE_FALSE(made);
    CHECK(made.error().message.starts_with("\"a\" was not forked: "));
    CHECK(daemon.hypervisor.domain(a).info.paused == paused);
    CHECK_FALSE(daemon.hypervisor.domain(a).info.shutdown);
    CHECK(daemon.hypervisor.domains.size() == 2); // dom0, too
    CHECK(daemon.hypervisor.free_pages == free);
    if (paused)
        REQUIRE(daemon.perform("unpause", {{"domain", "a"}}));
    CHECK(forked(daemon, a, fork_args(daemon, "b")).has_value()); // another time
}

TEST_CASE("a fork is refused before the parent hears of it")
{
    Daemon_fixture daemon;
    daemon.create("a");
    daemon.create("taken");
    Json args = fork_args(daemon, "b");
    std::string reason;
    SECTION("another one has the name")
    {
        args["config"]["name"] = "taken";
        reason                 = "is already called";
    }
    SECTION("other memory")
    {
        args["config"]["maxmem"] = 64;
        reason                   = "only name, uuid, disk";
    }
    SECTION("not a domain of ours")
    {
        args["domain"] = "nobody";
        reason         = "nobody";
    }
    const auto refused = daemon.perform("fork", args);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find(reason) != std::string::npos);
    CHECK(daemon.hypervisor.domains.size() == 3);
}

TEST_CASE("a fork whose client goes is called off")
{
    Daemon_fixture daemon;
    const Domid a = daemon.create("a");
    Pending pending(daemon, "fork", fork_args(daemon, "b"));
    const auto node = domain_path(a) + "/control/shutdown";
    daemon.run_until([&] { return daemon.node(node) == "suspend"; });
    SECTION("before the guest has taken note")
    {
        pending.cancel();
        CHECK(daemon.node(node).empty());
    }
    SECTION("while its memory is forked")
    {
        guest_suspends(daemon, a);
        pending.cancel();
    }
    CHECK_FALSE(pending.finish(daemon));
    check_runs_on(daemon, a);
    CHECK(daemon.hypervisor.domains.size() == 2);
    CHECK(forked(daemon, a, fork_args(daemon, "b")).has_value());
}

TEST_CASE("while it is forked a domain is not saved, moved, changed or forked again")
{
    Daemon_fixture daemon;
    const Domid a = daemon.create("a");
    Pending pending(daemon, "fork", fork_args(daemon, "b"));
    for (const auto* op : {"pause", "save", "fork"}) {
        Json args          = fork_args(daemon, "c");
        args["path"]       = daemon.directory + "/a.save";
        const auto refused = daemon.perform(op, args);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().message.find("is being forked") != std::string::npos);
    }
    CHECK(daemon.perform("create", daemon.create_args("b")).error().code == Code::exists);
    guest_suspends(daemon, a);
    CHECK(pending.finish(daemon).has_value());
}

TEST_CASE("a vmmd that ends in the middle of a fork leaves the parent running and nothing else")
{
    Daemon_fixture daemon;
    const Domid a = daemon.create("a");
    Pending pending(daemon, "fork", fork_args(daemon, "b"));
    guest_suspends(daemon, a);
    daemon.restart();
    check_runs_on(daemon, a);
    daemon.run_until([&] { return daemon.hypervisor.domains.size() == 2; });
}
