// SPDX-License-Identifier: Apache-2.0
// What becomes of a domain that ends, and of everything when the daemon itself is restarted.
#include "daemon_fixture.hpp"
#include "held_call.hpp"
#include "stuck_device.hpp"

#include "toolstack/vmmd/end_policy.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

using namespace vmm;
using namespace vmm::test;
using control::Code;
using control::Json;

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
    const std::string file   = daemon.directory + "/domains.json";
    daemon.hypervisor.before = [&](const std::string& operation) {
        if (operation == lost) {
            std::filesystem::copy_file(file, file + ".killed");
        }
    };
    daemon.guest_ends(id, Shutdown_reason::reboot);
    daemon.run_until([&] { return std::filesystem::exists(file + ".killed"); });
    daemon.hypervisor.before = nullptr;
    daemon.restart([&] { std::filesystem::rename(file + ".killed", file); }); // killed right then
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
    const Domid id           = daemon.create("demo", {{"on_reboot", "restart"}});
    const auto uuid          = daemon.supervisor->domains().find(id)->uuid;
    const std::string file   = daemon.directory + "/domains.json";
    daemon.hypervisor.before = [&](const std::string& operation) {
        if (operation == "unpause") {
            std::filesystem::copy_file(file, file + ".killed");
        }
    };
    daemon.guest_ends(id, Shutdown_reason::reboot);
    daemon.run_until([&] { return std::filesystem::exists(file + ".killed"); });
    Held_call destroy(daemon.hypervisor, "destroy");
    daemon.restart([&] { std::filesystem::rename(file + ".killed", file); }); // killed right then
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
