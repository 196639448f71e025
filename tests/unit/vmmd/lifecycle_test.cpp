// SPDX-License-Identifier: Apache-2.0
// What becomes of a domain that ends.
#include "daemon_fixture.hpp"

#include "toolstack/vmmd/end_policy.hpp"

#include <catch2/catch.hpp>

#include <filesystem>

using namespace vmm;
using namespace vmm::test;
using control::Code;

namespace
{

// Starts waiting for the end of a domain; the answer comes into the result.
std::shared_ptr<std::optional<Answer>> wait_for(Daemon_fixture& daemon, Domid id)
{
    auto got = std::make_shared<std::optional<Answer>>();
    daemon.operations->perform("wait", {{"domid", raw(id)}},
                               {[got](Answer a) { *got = std::move(a); }, [] { return true; }});
    return got;
}

std::string outcome(Daemon_fixture& daemon, const std::shared_ptr<std::optional<Answer>>& got)
{
    daemon.run_until([&] { return got->has_value(); });
    return (**got)->at("outcome").get<std::string>() + " " + (**got)->at("reason").get<std::string>();
}

} // namespace

TEST_CASE("each end has its action")
{
    config::Domain_config config;
    config.on_poweroff = config::End_action::preserve;
    config.on_reboot   = config::End_action::rename_restart;
    config.on_crash    = config::End_action::restart;
    config.on_watchdog = config::End_action::destroy;
    CHECK(end_action(config, Shutdown_reason::poweroff) == config::End_action::preserve);
    CHECK(end_action(config, Shutdown_reason::reboot) == config::End_action::rename_restart);
    CHECK(end_action(config, Shutdown_reason::crash) == config::End_action::restart);
    CHECK(end_action(config, Shutdown_reason::watchdog) == config::End_action::destroy);
    CHECK(end_action(config, Shutdown_reason(77)) == config::End_action::restart); // unknown: as a crash
}

TEST_CASE("restarts come at once the first time and then ever later, up to a minute")
{
    CHECK(restart_delay(0).count() == 0);
    CHECK(restart_delay(1).count() == 0);
    CHECK(restart_delay(2).count() == 1);
    CHECK(restart_delay(3).count() == 2);
    CHECK(restart_delay(8).count() == 60);
    CHECK(restart_delay(4'000'000).count() == 60);
}

TEST_CASE("destroy: everything is given back and the waiters hear why")
{
    Daemon_fixture daemon;
    const auto free = daemon.hypervisor.free_pages;
    const Domid id  = daemon.create("demo");
    const auto got  = wait_for(daemon, id);
    daemon.guest_ends(id, Shutdown_reason::poweroff);
    CHECK(outcome(daemon, got) == "gone poweroff");
    daemon.check_nothing_left(free);
    CHECK(outcome(daemon, wait_for(daemon, id)) == "gone poweroff"); // asked too late
    CHECK(outcome(daemon, wait_for(daemon, Domid{77})) == "gone unknown");
}

TEST_CASE("preserve: it stays, ended, until somebody destroys it")
{
    Daemon_fixture daemon;
    const Domid id = daemon.create("demo", {{"on_crash", "preserve"}});
    const auto got = wait_for(daemon, id);
    daemon.guest_ends(id, Shutdown_reason::crash);
    CHECK(outcome(daemon, got) == "preserved crash");
    const Answer listed = daemon.perform("list", {{"domains", {"demo"}}});
    CHECK(listed->at("domains")[0].at("state") == "----c-");
    CHECK(listed->at("domains")[0].at("shutdown_reason") == "crash");
    daemon.supervisor->check_ends(); // does not end twice
    CHECK(outcome(daemon, wait_for(daemon, id)) == "preserved crash");
    CHECK(daemon.perform("destroy", {{"domain", "demo"}}));
    CHECK(daemon.supervisor->domains().all().empty());
}

TEST_CASE("restart: a new domain with the same name and UUID takes its place")
{
    Daemon_fixture daemon;
    const Domid id  = daemon.create("demo");
    const auto uuid = daemon.supervisor->domains().find(id)->uuid;
    const auto got  = wait_for(daemon, id);
    daemon.guest_ends(id, Shutdown_reason::reboot);
    CHECK(outcome(daemon, got) == "restarted reboot");
    CHECK((**got)->at("new_domid") == 2);
    const Domain* successor = daemon.supervisor->domains().find_name("demo");
    REQUIRE(successor != nullptr);
    CHECK(successor->id == Domid{2});
    CHECK(successor->uuid == uuid);
    CHECK_FALSE(daemon.hypervisor.domain(successor->id).info.paused);
    CHECK(daemon.hypervisor.domains.size() == 2);
}

TEST_CASE("rename-restart: the ended one is kept under another name and UUID")
{
    Daemon_fixture daemon;
    const Domid id  = daemon.create("demo", {{"on_crash", "rename-restart"}});
    const auto uuid = daemon.supervisor->domains().find(id)->uuid;
    daemon.guest_ends(id, Shutdown_reason::crash);
    daemon.run_until([&] { return daemon.supervisor->domains().find_name("demo") != nullptr; });
    const Domain* old = daemon.supervisor->domains().find_name("demo-1");
    REQUIRE(old != nullptr);
    CHECK(old->id == id);
    CHECK(old->uuid != uuid);
    CHECK(daemon.hypervisor.domain(id).info.uuid == old->uuid.bytes);
    CHECK(daemon.node("/local/domain/1/name") == "demo-1");
    CHECK(daemon.supervisor->domains().find_name("demo")->uuid == uuid);
    CHECK(daemon.node("/vm/" + uuid.to_string() + "/name") == "demo");
}

TEST_CASE("a domain that ends again and again is restarted later, and destroy stops that")
{
    log::set_level(log::Level::error);
    Daemon_fixture daemon;
    const auto free = daemon.hypervisor.free_pages;
    Domid id        = daemon.create("demo", {{"on_crash", "restart"}});
    daemon.guest_ends(id, Shutdown_reason::crash); // the first time at once
    daemon.run_until([&] {
        const Domain* demo = daemon.supervisor->domains().find_name("demo");
        return demo != nullptr && demo->id != id;
    });
    id             = daemon.supervisor->domains().find_name("demo")->id;
    const auto got = wait_for(daemon, id);
    daemon.guest_ends(id, Shutdown_reason::crash);
    daemon.run_for(std::chrono::milliseconds(100));
    CHECK(daemon.supervisor->domains().find_name("demo") == nullptr);
    CHECK(daemon.perform("create", daemon.create_args("demo")).error().code == Code::exists);
    SECTION("it comes back")
    {
        CHECK(outcome(daemon, got) == "restarted crash");
        CHECK(daemon.perform("destroy", {{"domain", "demo"}}));
    }
    SECTION("it is stopped")
    {
        CHECK(daemon.perform("destroy", {{"domain", "demo"}}));
        CHECK(outcome(daemon, got) == "gone crash");
        daemon.run_for(std::chrono::milliseconds(1200));
    }
    daemon.check_nothing_left(free);
}

TEST_CASE("destroy by the name of one that is about to be restarted keeps what it was")
{
    log::set_level(log::Level::error);
    Daemon_fixture daemon;
    Domid id = daemon.create("demo", {{"on_crash", "rename-restart"}});
    for (int ends = 0; ends < 2; ++ends) { // the second one's successor waits
        daemon.run_until([&] { return daemon.supervisor->domains().find_name("demo") != nullptr; });
        id = daemon.supervisor->domains().find_name("demo")->id;
        daemon.guest_ends(id, Shutdown_reason::crash);
    }
    const auto got = wait_for(daemon, id);
    CHECK(daemon.perform("destroy", {{"domain", "demo"}}));
    CHECK(outcome(daemon, got) == "preserved crash");
    daemon.run_for(std::chrono::milliseconds(1200));
    CHECK(daemon.supervisor->domains().find_name("demo") == nullptr);
    REQUIRE(daemon.supervisor->domains().find_name("demo-2") != nullptr);
    CHECK(daemon.supervisor->domains().find_name("demo-2")->id == id);
}

TEST_CASE("a restart that fails is told")
{
    Daemon_fixture daemon;
    const auto free = daemon.hypervisor.free_pages;
    const Domid id  = daemon.create("demo");
    const auto got  = wait_for(daemon, id);
    std::filesystem::remove(daemon.kernel);
    daemon.guest_ends(id, Shutdown_reason::reboot);
    CHECK(outcome(daemon, got) == "gone reboot");
    daemon.check_nothing_left(free);
}

TEST_CASE("a domain that another tool destroys is forgotten")
{
    Daemon_fixture daemon;
    const Domid id                               = daemon.create("demo");
    const auto got                               = wait_for(daemon, id);
    daemon.hypervisor.domains.at(id)->info.dying = true;
    daemon.supervisor->check_ends();
    CHECK(outcome(daemon, got) == "gone destroyed");
    CHECK(daemon.supervisor->domains().all().empty());
}
