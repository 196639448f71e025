// SPDX-License-Identifier: Apache-2.0
// What a daemon makes of what a former one left, whenever that ended.
#include "daemon_fixture.hpp"
#include "held_call.hpp"
#include "killed_daemon.hpp"
#include "stuck_device.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

using namespace vmm;
using namespace vmm::test;
using control::Code;
using control::Json;

TEST_CASE("a destruction that the daemon was asked for is done by the next one")
{
    log::set_level(log::Level::error);
    Stuck_device device;
    Daemon_fixture daemon;
    const auto free = daemon.hypervisor.free_pages;
    device.plug_into(daemon, daemon.create("demo"));
    const Pending destruction(daemon, "destroy", {{"domain", "demo"}});
    daemon.restart();
    daemon.run_until([&] { return daemon.supervisor->domains().all().empty(); });
    daemon.check_nothing_left(free);
}

TEST_CASE("a restarted daemon finds its domains again")
{
    Daemon_fixture daemon;
    const Domid id  = daemon.create("demo");
    const auto uuid = daemon.supervisor->domains().find(id)->uuid;
    daemon.restart();
    const Domain* domain = daemon.supervisor->domains().find_name("demo");
    REQUIRE(domain != nullptr);
    CHECK(domain->id == id);
    CHECK(domain->uuid == uuid);
    CHECK(domain->console != nullptr);
    CHECK(daemon.store->is_introduced(id));
    CHECK(daemon.node("/local/domain/1/name") == "demo");
    CHECK(daemon.hypervisor.bound_ports() == 2);
    CHECK(daemon.perform("destroy", {{"domain", "demo"}}));
}

TEST_CASE("what happened while there was no daemon is caught up with")
{
    Daemon_fixture daemon;
    const Domid ended  = daemon.create("ended");
    const Domid gone   = daemon.create("gone");
    const Domid reused = daemon.create("reused");
    daemon.create("alive");
    daemon.hypervisor.stop_guest(ended, Shutdown_reason::poweroff);
    daemon.hypervisor.domains.erase(gone);
    daemon.hypervisor.domain(reused).info.uuid[0] ^= 1; // the number is another domain's now
    daemon.restart();
    daemon.run_until([&] { return daemon.supervisor->domains().all().size() == 1; });
    CHECK(daemon.supervisor->domains().find_name("alive") != nullptr);
    CHECK(daemon.hypervisor.domains.contains(reused)); // not ours: left alone
    CHECK_FALSE(daemon.hypervisor.domains.contains(ended));
}

TEST_CASE("a domain that was half made when the daemon died is destroyed, others are not")
{
    log::set_level(log::Level::error);
    Daemon_fixture daemon;
    const Uuid_bytes half  = config::Uuid::parse("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee")->bytes;
    const Domid unfinished = *daemon.hypervisor.create({half, 1, 0});
    const Domid foreign    = *daemon.hypervisor.create({{}, 1, 0});
    State_file(daemon.directory + "/domains.json")
        .save(daemon.supervisor->domains(), {{"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"}, {}, {}, {}, {}})
        .value();
    daemon.restart();
    daemon.run_until([&] { return daemon.state_text().find("aaaaaaaa") == std::string::npos; });
    CHECK_FALSE(daemon.hypervisor.domains.contains(unfinished));
    CHECK(daemon.hypervisor.domains.contains(foreign));
}

TEST_CASE("what a guest had in the store is there after a restart")
{
    Daemon_fixture daemon;
    const Domid id         = daemon.create("demo");
    const std::string home = "/local/domain/1";
    REQUIRE(daemon.store->write(home + "/data/mine", "kept"));
    REQUIRE(daemon.store->write(home + "/control/feature-poweroff", "1"));
    const auto permissions = daemon.store->permissions(home + "/control/shutdown").value();
    daemon.restart();
    CHECK(daemon.node(home + "/data/mine") == "kept");
    CHECK(daemon.node(home + "/control/feature-poweroff") == "1");
    CHECK(daemon.store->permissions(home + "/control/shutdown").value() == permissions);
    CHECK(daemon.node(home + "/console/tty") == daemon.supervisor->domains().find(id)->console->tty());
}

TEST_CASE("a restart with no journal of the store writes a domain's nodes anew")
{
    Daemon_fixture daemon;
    daemon.create("demo");
    daemon.restart([&] { std::filesystem::remove(daemon.directory + "/store.journal"); });
    CHECK(daemon.node("/local/domain/1/name") == "demo");
    CHECK(daemon.store->is_introduced(Domid{1}));
}

TEST_CASE("the store forgets who has gone while there was no daemon")
{
    Daemon_fixture daemon;
    const auto free    = daemon.hypervisor.free_pages;
    const Domid ours   = daemon.create("demo");
    const Domid theirs = *daemon.hypervisor.create({{9}, 1, 0});
    REQUIRE(daemon.store->write("/local/domain/2/name", "theirs"));
    const std::uint64_t page = 5;
    REQUIRE(daemon.hypervisor.populate(theirs, std::span(&page, 1), 0));
    REQUIRE(daemon.supervisor->introduce_foreign(theirs, Gfn{page}, Evtchn_port{1}));
    daemon.restart([&] {
        REQUIRE(daemon.hypervisor.destroy(ours));
        REQUIRE(daemon.hypervisor.destroy(theirs));
    });
    CHECK(daemon.store->introduced().empty());
    daemon.check_nothing_left(free);
}

TEST_CASE("another tool's domain keeps its store over a restart")
{
    Daemon_fixture daemon;
    const Domid theirs       = *daemon.hypervisor.create({{9}, 1, 0});
    const std::uint64_t page = 5;
    REQUIRE(daemon.hypervisor.populate(theirs, std::span(&page, 1), 0));
    REQUIRE(daemon.store->write("/local/domain/1/name", "theirs"));
    REQUIRE(daemon.supervisor->introduce_foreign(theirs, Gfn{page}, Evtchn_port{1}));
    const auto ports = daemon.hypervisor.bound_ports();
    daemon.restart();
    CHECK(daemon.store->introduced() == std::vector{theirs});
    CHECK(daemon.node("/local/domain/1/name") == "theirs");
    CHECK(daemon.hypervisor.bound_ports() == ports);
}

TEST_CASE("a restart that was due when the daemon died is made by the next one, once")
{
    log::set_level(log::Level::error);
    Daemon_fixture daemon;
    const auto free = daemon.hypervisor.free_pages;
    const Domid id  = daemon.create("demo");
    const auto uuid = daemon.supervisor->domains().find(id)->uuid;
    daemon.guest_ends(id, Shutdown_reason::reboot); // its successor is being prepared
    daemon.run_until([&] { return daemon.supervisor->domains().all().empty(); });
    daemon.restart();
    daemon.run_until([&] { return daemon.supervisor->domains().find_name("demo") != nullptr; });
    CHECK(daemon.supervisor->domains().find_name("demo")->uuid == uuid);
    daemon.restart();
    daemon.run_for(std::chrono::milliseconds(100));
    CHECK(daemon.hypervisor.domains.size() == 2);
    SECTION("one that somebody stopped is not")
    {
        std::filesystem::remove(daemon.kernel);
        daemon.guest_ends(daemon.supervisor->domains().find_name("demo")->id, Shutdown_reason::reboot);
        daemon.run_until([&] { return daemon.state_text().find("predecessor") == std::string::npos; });
        daemon.restart();
        daemon.check_nothing_left(free);
    }
}

TEST_CASE("a restart is due from before the moment on when the domain that ended is lost")
{
    log::set_level(log::Level::error);
    Daemon_fixture daemon;
    const std::string lost   = GENERATE(as<std::string>{}, "destroy", "set_uuid");
    const std::string action = lost == "destroy" ? "restart" : "rename-restart";
    const Domid id           = daemon.create("demo", {{"on_reboot", action}});
    const auto uuid          = daemon.supervisor->domains().find(id)->uuid;
    Killed_daemon killed(daemon, lost);
    daemon.guest_ends(id, Shutdown_reason::reboot);
    daemon.run_until([&] { return killed.has_asked(); });
    killed.restart();
    daemon.run_until([&] {
        const Domain* demo = daemon.supervisor->domains().find_name("demo");
        return demo != nullptr && demo->id != id;
    });
    CHECK(daemon.supervisor->domains().find_name("demo")->uuid == uuid);
    const Domain* const kept = daemon.supervisor->domains().find(id);
    REQUIRE((kept != nullptr) == (lost == "set_uuid"));
    if (kept != nullptr) {
        CHECK(kept->name() == "demo-1");
        CHECK(daemon.hypervisor.info(id)->uuid == kept->uuid.bytes);
    }
}

TEST_CASE("a domain kept by who died before the hypervisor knew its new UUID is known by either")
{
    log::set_level(log::Level::error);
    Daemon_fixture daemon;
    const Domid id = daemon.create("demo", {{"on_reboot", "rename-restart"}});
    const auto old = daemon.hypervisor.info(id)->uuid;
    daemon.guest_ends(id, Shutdown_reason::reboot);
    daemon.run_until([&] { return daemon.supervisor->domains().find_name("demo-1") != nullptr; });
    daemon.restart([&] { daemon.hypervisor.domains.at(id)->info.uuid = old; });
    const Domain* const kept = daemon.supervisor->domains().find_name("demo-1");
    REQUIRE(kept != nullptr);
    CHECK(daemon.hypervisor.info(id)->uuid == kept->uuid.bytes);
}

TEST_CASE("a successor has the kept one's disks, though the daemon died while they were taken away")
{
    log::set_level(log::Level::error);
    Stuck_device disk("vbd");
    Daemon_fixture daemon;
    const Domid id = daemon.create("demo", {{"on_reboot", "rename-restart"}});
    disk.plug_into(daemon, id);
    daemon.classes_after_restart = {&disk};
    daemon.guest_ends(id, Shutdown_reason::reboot);
    daemon.run_until([&] { return daemon.supervisor->domains().find_name("demo-1") != nullptr; });
    daemon.restart();
    daemon.run_until([&] { return disk.is_released(); });
    daemon.run_for(std::chrono::milliseconds(50));
    CHECK(daemon.supervisor->domains().find_name("demo") == nullptr);
    disk.finish_release();
    daemon.run_until([&] { return daemon.supervisor->domains().find_name("demo") != nullptr; });
    CHECK(daemon.supervisor->domains().find_name("demo-1")->id == id);
}

TEST_CASE("a domain that the daemon dies taking apart is restarted once")
{
    log::set_level(log::Level::error);
    Stuck_device device;
    Daemon_fixture daemon;
    const std::string action = GENERATE(as<std::string>{}, "restart", "rename-restart");
    const Domid id           = daemon.create("demo", {{"on_reboot", action}});
    device.plug_into(daemon, id);
    daemon.guest_ends(id, Shutdown_reason::reboot);
    daemon.restart();
    daemon.run_until([&] {
        const Domain* demo = daemon.supervisor->domains().find_name("demo");
        return demo != nullptr && demo->id != id;
    });
    daemon.run_for(std::chrono::milliseconds(100));
    CHECK(daemon.supervisor->domains().all().size() == (action == "restart" ? 1 : 2));
    CHECK(daemon.state_text().find("predecessor") == std::string::npos);
}

TEST_CASE("a restart that the daemon died in begins again when what it had half made has gone")
{
    log::set_level(log::Level::error);
    Daemon_fixture daemon;
    const Domid id  = daemon.create("demo", {{"on_reboot", "restart"}});
    const auto uuid = daemon.supervisor->domains().find(id)->uuid;
    Killed_daemon killed(daemon, "unpause");
    daemon.guest_ends(id, Shutdown_reason::reboot);
    daemon.run_until([&] { return killed.has_asked(); });
    Held_call destroy(daemon.hypervisor, "destroy");
    killed.restart();
    daemon.run_until([&] { return destroy.is_held(); });
    daemon.run_for(std::chrono::milliseconds(50));
    CHECK(daemon.hypervisor.domains.size() == 2); // dom0 is one
    const auto with_uuid = daemon.create_args("other", {{"uuid", uuid.to_string()}});
    CHECK(code_of(daemon.perform("create", with_uuid)) == Code::bad_state);
    destroy.let_go();
    daemon.run_until([&] { return daemon.supervisor->domains().find_name("demo") != nullptr; });
    CHECK(daemon.supervisor->domains().find_name("demo")->uuid == uuid);
    CHECK(daemon.hypervisor.domains.size() == 2);
    CHECK(daemon.state_text().find("predecessor") == std::string::npos);
}

TEST_CASE("an end whose action has been carried out has it not again after a restart")
{
    log::set_level(log::Level::error);
    Daemon_fixture daemon;
    const Domid id = daemon.create("demo", {{"on_crash", "rename-restart"}});
    daemon.guest_ends(id, Shutdown_reason::crash);
    daemon.run_until([&] { return daemon.supervisor->domains().find_name("demo") != nullptr; });
    daemon.restart();
    daemon.run_for(std::chrono::milliseconds(200));
    CHECK(daemon.supervisor->domains().all().size() == 2);
    CHECK(daemon.supervisor->domains().find_name("demo-1") != nullptr);
}

TEST_CASE("a domain that the state file tells something new about is left alone, and no other")
{
    log::set_level(log::Level::error);
    Stuck_device disks("vbd");
    Daemon_fixture daemon;
    const Domid newer = daemon.create("newer");
    const Domid other = daemon.create("other");
    disks.plug_into(daemon, newer);
    daemon.classes_after_restart = {&disks};
    const std::string file       = daemon.directory + "/domains.json";
    const std::string known      = daemon.state_text();
    const auto meanwhile         = [&] {
        Json state                                       = Json::parse(known);
        state["domains"][0]["config"]["of_another_time"] = 1;
        std::ofstream(file) << state.dump();
    };
    daemon.restart(meanwhile);
    daemon.run_for(std::chrono::milliseconds(20));
    CHECK(daemon.supervisor->domains().find(other) != nullptr);
    CHECK(daemon.supervisor->domains().find(newer) == nullptr);
    CHECK(daemon.devices->list(newer).size() == 1);
    CHECK(daemon.state_text().find("of_another_time") != std::string::npos);
    SECTION("until there is a vmmd that understands")
    {
        daemon.restart([&] { std::ofstream(file) << known; });
        CHECK(daemon.supervisor->domains().find(newer) != nullptr);
    }
    SECTION("until it has gone")
    {
        disks.let_go();
        daemon.restart([&] { REQUIRE(daemon.hypervisor.destroy(newer)); });
        CHECK(daemon.state_text().find("of_another_time") == std::string::npos);
        daemon.run_until([&] { return daemon.devices->list(newer).empty(); });
    }
}

TEST_CASE("a state file that cannot be read is set aside and nothing is destroyed")
{
    Daemon_fixture daemon;
    const Domid id = daemon.create("demo");
    const std::string damaged =
        GENERATE(as<std::string>{}, "", "{", "[]", R"({"domains":[{}],"unfinished":[]})",
                 R"({"domains":3,"unfinished":[]})");
    std::ofstream(daemon.directory + "/domains.json") << damaged;
    daemon.restart();
    CHECK(daemon.hypervisor.domains.contains(id));
    CHECK(std::filesystem::exists(daemon.directory + "/domains.json.bad"));
}
