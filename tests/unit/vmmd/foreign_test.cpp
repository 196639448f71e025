// SPDX-License-Identifier: Apache-2.0
// Domains that another tool made: their store ring and their console are served, and nothing of them is kept
// when they go.
#include "daemon_fixture.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <sstream>

#include <xen/io/console.h>

using namespace vmm;
using namespace vmm::test;
using control::Code;

namespace
{

constexpr std::uint64_t kStore   = 5;
constexpr std::uint64_t kConsole = 6;
const std::string kHome          = "/local/domain/1";

// As `xl` does: made and introduced first.
Domid introduced(Daemon_fixture& daemon)
{
    const Domid id = daemon.hypervisor.create({{9}, 1, 0}).value();
    for (const std::uint64_t page : {kStore, kConsole}) {
        daemon.hypervisor.populate(id, std::span(&page, 1), 0).value();
    }
    daemon.store->write(kHome + "/name", "theirs").value();
    daemon.supervisor->introduce_foreign(id, Gfn{kStore}, Evtchn_port{1}).value();
    return id;
}

void write_console_nodes(Daemon_fixture& daemon, const std::string& type)
{
    daemon.store->write(kHome + "/console/ring-ref", std::to_string(kConsole)).value();
    daemon.store->write(kHome + "/console/type", type).value();
    daemon.store->write(kHome + "/console/port", "2").value();
    daemon.run_for(std::chrono::milliseconds(20));
}

void print(Daemon_fixture& daemon, Domid id, std::string_view text)
{
    auto* ring =
        reinterpret_cast<xencons_interface*>(daemon.hypervisor.domain(id).memory + kConsole * kPageSize);
    for (const char c : text) {
        ring->out[MASK_XENCONS_IDX(ring->out_prod++, ring->out)] = c;
    }
    daemon.hypervisor.fire(id, Evtchn_port{2});
}

std::string logged(const Daemon_fixture& daemon, const std::string& name)
{
    std::ostringstream text;
    text << std::ifstream(daemon.directory + "/console/" + name + ".log").rdbuf();
    return text.str();
}

} // namespace

TEST_CASE("another tool's domain has its console here as soon as its nodes say where it is")
{
    Daemon_fixture daemon;
    const Domid id = introduced(daemon);
    CHECK(daemon.perform("console", {{"domain", "theirs"}}).error().code == Code::bad_state);
    write_console_nodes(daemon, "xenconsoled");
    const Answer console = daemon.perform("console", {{"domain", "theirs"}});
    REQUIRE(console);
    CHECK(console->at("pty").get<std::string>().starts_with("/dev/pts/"));
    CHECK(daemon.node(kHome + "/console/tty") == console->at("pty").get<std::string>());
    print(daemon, id, "hello");
    CHECK(logged(daemon, "theirs") == "hello");
    const Answer listed = daemon.perform("list", {{"domains", {"theirs"}}, {"long", true}});
    CHECK(listed->at("domains")[0].at("console") == console->at("pty"));
    CHECK(listed->at("domains")[0].at("name") == "theirs");
}

TEST_CASE("it has it again after a restart, with what it has printed meanwhile")
{
    Daemon_fixture daemon;
    const Domid id = introduced(daemon);
    write_console_nodes(daemon, "xenconsoled");
    const auto ports = daemon.hypervisor.bound_ports();
    daemon.restart([&] { print(daemon, id, "alone"); });
    daemon.run_for(std::chrono::milliseconds(20));
    CHECK(daemon.perform("console", {{"domain", "theirs"}}));
    CHECK(logged(daemon, "theirs") == "alone");
    CHECK(daemon.hypervisor.bound_ports() == ports);
}

TEST_CASE("a console that a device model serves is left alone")
{
    Daemon_fixture daemon;
    introduced(daemon);
    write_console_nodes(daemon, "ioemu");
    CHECK_FALSE(daemon.perform("console", {{"domain", "theirs"}}));
}

TEST_CASE("a name that is no file name, or one of ours, names no log")
{
    Daemon_fixture daemon;
    const Domid id         = introduced(daemon);
    const std::string name = GENERATE(as<std::string>{}, "../theirs", "ours");
    if (name == "ours") {
        daemon.create("ours");
    }
    daemon.store->write(kHome + "/name", name).value();
    write_console_nodes(daemon, "xenconsoled");
    print(daemon, id, "x");
    CHECK(logged(daemon, "domain-1") == "x");
}

TEST_CASE("nothing of it is kept when it goes, by whomever")
{
    Daemon_fixture daemon;
    const auto free = daemon.hypervisor.free_pages;
    const Domid id  = introduced(daemon);
    write_console_nodes(daemon, "xenconsoled");
    SECTION("by us") { CHECK(daemon.perform("destroy", {{"domain", "theirs"}})); }
    SECTION("by its tool")
    {
        daemon.hypervisor.domain(id).info.dying = true;
        daemon.supervisor->check_ends();
        CHECK(daemon.hypervisor.destroy(id)); // fails while a page is mapped
        daemon.store->remove(kHome).value();
    }
    daemon.run_for(std::chrono::milliseconds(20));
    daemon.check_nothing_left(free);
}

TEST_CASE("its end is announced anew after its tool has resumed it")
{
    Daemon_fixture daemon;
    const Domid id     = introduced(daemon);
    unsigned announced = 0;
    daemon.store->watch("@releaseDomain", [&](const std::string&) { ++announced; }).value();
    daemon.run_until([&] { return announced == 1; }); // for the registration
    daemon.guest_ends(id, Shutdown_reason::suspend);
    daemon.supervisor->check_ends();
    daemon.run_for(std::chrono::milliseconds(20));
    CHECK(announced == 2);
    daemon.hypervisor.resume(id).value();
    SECTION("as the tool says") { daemon.supervisor->resume_foreign(id); }
    SECTION("as is seen of the domain") { daemon.supervisor->check_ends(); }
    daemon.guest_ends(id, Shutdown_reason::poweroff);
    daemon.run_for(std::chrono::milliseconds(20));
    CHECK(announced == 3);
}
