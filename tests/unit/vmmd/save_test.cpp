// SPDX-License-Identifier: Apache-2.0
// Domains to files and back, and all that may go wrong on the way.
#include "daemon_fixture.hpp"
#include "fake_kernel.hpp"
#include "image_disks.hpp"
#include "stuck_device.hpp"

#include "toolstack/save/domain_image.hpp"
#include "toolstack/vmmd/domain_nodes.hpp"

#include <xen/hvm/save.h>
#include <xen/xen.h>

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

using namespace vmm;
using namespace vmm::test;
using control::Code;
using control::Json;

namespace
{

std::string request_of(Daemon_fixture& daemon, Domid id)
{
    return daemon.node(domain_path(id) + "/control/shutdown");
}

// What a Linux guest does when it is asked.
void guest_suspends(Daemon_fixture& daemon, Domid id)
{
    daemon.run_until([&] { return request_of(daemon, id) == "suspend"; });
    daemon.store->write(domain_path(id) + "/control/shutdown", "").value();
    daemon.guest_ends(id, Shutdown_reason::suspend);
}

Answer saved_by(Daemon_fixture& daemon, Domid id, const std::string& path, const Json& more = Json::object())
{
    Json args{{"domain", to_string(id)}, {"path", path}};
    args.update(more);
    Pending pending(daemon, "save", args);
    guest_suspends(daemon, id);
    return pending.finish(daemon);
}

std::uint64_t rax_of(const Fake_domain& domain)
{
    hvm_save_descriptor record{};
    for (std::size_t at = 0; at + sizeof record <= domain.context.size();
         at += sizeof record + record.length) {
        std::memcpy(&record, domain.context.data() + at, sizeof record);
        if (record.typecode == HVM_SAVE_CODE(CPU)) {
            HVM_SAVE_TYPE(CPU) cpu{};
            std::memcpy(&cpu, domain.context.data() + at + sizeof record, sizeof cpu);
            return cpu.rax;
        }
    }
    FAIL("no processor record");
    return 0;
}

// Runs, and its kernel was told that the suspension is off.
void check_runs_on(Daemon_fixture& daemon, Domid id)
{
    const Fake_domain& domain = daemon.hypervisor.domain(id);
    CHECK_FALSE(domain.info.shutdown);
    CHECK_FALSE(domain.info.paused);
    CHECK(rax_of(domain) == 1);
    CHECK(daemon.supervisor->domains().find(id) != nullptr);
}

// A daemon that has disks.
struct World {
    Image_disks disks;
    Daemon_fixture daemon;
    std::unique_ptr<Fake_kernel> kernel;

    World()
    {
        daemon.devices->add(disks);
        kernel = std::make_unique<Fake_kernel>(*daemon.store);
    }
    ~World() { kernel.reset(); }
};

bool is_there(const std::string& path) { return std::filesystem::exists(path); }

} // namespace

TEST_CASE("a saved domain is gone, and restored is what it was")
{
    Daemon_fixture daemon;
    const auto free        = daemon.hypervisor.free_pages;
    const std::string path = daemon.directory + "/a.save";
    const Domid id         = daemon.create("a", {{"memory", 24}, {"maxmem", 32}, {"cpuid", "host,avx2=0"}});
    std::memset(daemon.hypervisor.domain(id).memory + 0x1234567, 'x', 70000);
    const auto memory  = daemon.hypervisor.domain(id).read(0, 32U << 20);
    const auto context = daemon.hypervisor.domain(id).context;
    const auto uuid    = daemon.supervisor->domains().find(id)->uuid;
    const bool plain   = GENERATE(true, false);
    REQUIRE(saved_by(daemon, id, path, {{"compress", plain ? "none" : "zstd"}}));
    daemon.check_nothing_left(free);
    CHECK(is_there(path));

    const auto restored = daemon.perform("restore", {{"path", path}});
    INFO((restored ? "" : restored.error().message));
    REQUIRE(restored);
    const Domid now{restored->at("domid").get<std::uint16_t>()};
    CHECK(now != id);
    CHECK(daemon.hypervisor.domain(now).read(0, 32U << 20) == memory);
    CHECK(daemon.hypervisor.domain(now).context == context);
    CHECK(cpu::features_of(daemon.hypervisor.domain(now).cpu_policy).to_string() == "4000000:1");
    CHECK(daemon.supervisor->domains().find(now)->uuid == uuid);
    CHECK(daemon.supervisor->domains().find(now)->target_kib == 24 * 1024);
    CHECK(daemon.node(domain_path(now) + "/name") == "a");
    CHECK_FALSE(daemon.hypervisor.domain(now).info.paused);

    const auto twice = daemon.perform("restore", {{"path", path}});
    REQUIRE_FALSE(twice);
    CHECK(twice.error().code == Code::exists);
    REQUIRE(daemon.perform("destroy", {{"domain", "a"}}));
    daemon.check_nothing_left(free);
}

TEST_CASE("before a domain ends with its save, what serves its images has written all out")
{
    World world;
    const auto disk = [](const char* vdev, const char* target, const char* format, const char* access) {
        return Json{{"vdev", vdev}, {"target", target}, {"format", format}, {"access", access}};
    };
    const Domid id = world.daemon.create(
        "a", {{"disk",
               {disk("xvda", "/a.qcow2", "qcow2", "rw"), disk("xvdb", "/b.img", "raw", "rw"),
                disk("xvdc", "/c.qcow2", "qcow2", "ro"), disk("xvdd", "nbd://host/d", "raw", "rw")}}});
    const std::string path = world.daemon.directory + "/a.save";
    world.disks.closed     = [&] { CHECK_FALSE(is_there(path)); };
    SECTION("it goes")
    {
        REQUIRE(saved_by(world.daemon, id, path));
        CHECK(world.disks.times == 1);
    }
    SECTION("not when it runs on")
    {
        REQUIRE(saved_by(world.daemon, id, path, {{"after", "run"}}));
        CHECK(world.disks.times == 0);
    }
    SECTION("if that fails, there is no file and it runs on")
    {
        world.disks.trouble = "disk xvda: vmm-blkback says: No space left on device";
        const auto saved    = saved_by(world.daemon, id, path);
        REQUIRE_FALSE(saved);
        CHECK_THAT(saved.error().message, Catch::Contains(world.disks.trouble));
        CHECK_FALSE(is_there(path));
        check_runs_on(world.daemon, id);
    }
}

TEST_CASE("a domain comes back with the processor it had, or not at all")
{
    Daemon_fixture daemon;
    const std::string path = daemon.directory + "/a.save";
    const auto lived_with  = daemon.hypervisor.offered;
    REQUIRE(saved_by(daemon, daemon.create("a"), path));
    SECTION("where there is more, it sees what it knows")
    {
        daemon.hypervisor.offered[1].ecx |= 1U << 25;
        const auto restored = daemon.perform("restore", {{"path", path}});
        REQUIRE(restored);
        const Domid id{restored->at("domid").get<std::uint16_t>()};
        CHECK(daemon.hypervisor.domain(id).cpu_policy == lived_with);
    }
    SECTION("where something lacks, it is refused by name")
    {
        daemon.hypervisor.offered[2].ebx = 0;
        const auto restored              = daemon.perform("restore", {{"path", path}});
        REQUIRE_FALSE(restored);
        CHECK(restored.error().message.find("a processor with avx2, which this one does not offer") !=
              std::string::npos);
    }
}

TEST_CASE("after a checkpoint the domain runs on, or is paused")
{
    Daemon_fixture daemon;
    const std::string path = daemon.directory + "/a.save";
    const Domid id         = daemon.create("a");
    REQUIRE(saved_by(daemon, id, path, {{"after", "run"}}));
    check_runs_on(daemon, id);
    CHECK(is_there(path));
    REQUIRE(saved_by(daemon, id, path, {{"after", "pause"}}));
    CHECK(daemon.hypervisor.domain(id).info.paused);
    const auto paused = daemon.perform("save", {{"domain", "a"}, {"path", path}});
    REQUIRE_FALSE(paused);
    CHECK(paused.error().code == Code::bad_state);
}

TEST_CASE("a save that fails leaves the domain running and no file")
{
    Daemon_fixture daemon;
    const Domid id   = daemon.create("a");
    std::string path = daemon.directory + "/a.save";
    SECTION("no such folder") { path = daemon.directory + "/none/a.save"; }
    SECTION("its pages cannot be mapped")
    {
        daemon.hypervisor.order_failure("map_present", Errc::out_of_memory);
    }
    SECTION("its processors cannot be read") { daemon.hypervisor.order_failure("context", Errc::io); }
    const auto saved = saved_by(daemon, id, path);
    REQUIRE_FALSE(saved);
    CHECK(saved.error().message.starts_with("\"a\" was not saved: "));
    check_runs_on(daemon, id);
    CHECK_FALSE(is_there(path));
    CHECK_FALSE(is_there(path + ".partial"));
}

TEST_CASE("a save whose client goes is called off")
{
    Daemon_fixture daemon;
    const Domid id = daemon.create("a");
    Pending pending(daemon, "save", {{"domain", "a"}, {"path", daemon.directory + "/a.save"}});
    daemon.run_until([&] { return request_of(daemon, id) == "suspend"; });
    SECTION("before the guest has taken note")
    {
        pending.cancel();
        CHECK(request_of(daemon, id).empty());
    }
    SECTION("before it has suspended, which it does all the same")
    {
        daemon.store->write(domain_path(id) + "/control/shutdown", "").value();
        daemon.run_for(std::chrono::milliseconds(20));
        pending.cancel();
        daemon.guest_ends(id, Shutdown_reason::suspend);
        check_runs_on(daemon, id);
    }
    CHECK_FALSE(pending.finish(daemon));
    CHECK_FALSE(is_there(daemon.directory + "/a.save"));
    CHECK(saved_by(daemon, id, daemon.directory + "/a.save").has_value()); // another time
}

TEST_CASE("a vmmd that ends in the middle of a save leaves a domain that the next one lets run on")
{
    Daemon_fixture daemon;
    const Domid id         = daemon.create("a");
    const std::string path = daemon.directory + "/a.save";
    const bool has_older   = GENERATE(true, false);
    if (has_older) {
        std::ofstream(path) << "of another time";
    }
    daemon.hypervisor.order_failure("map_present", Errc::io); // so that the file is not made before
    Pending pending(daemon, "save", {{"domain", "a"}, {"path", path}});
    guest_suspends(daemon, id);
    daemon.restart();
    check_runs_on(daemon, id);
    CHECK(is_there(path) == has_older);
    CHECK(daemon.state_text().find(path) == std::string::npos); // another save may make it
}

TEST_CASE("a vmmd that ends after the file is whole leaves a domain that the next one destroys")
{
    Stuck_device device;
    Daemon_fixture daemon;
    const auto free        = daemon.hypervisor.free_pages;
    const Domid id         = daemon.create("a");
    const std::string path = daemon.directory + "/a.save";
    if (GENERATE(true, false)) {
        std::ofstream(path) << "of another time";
        std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now() -
                                                   std::chrono::hours(1));
    }
    Pending pending(daemon, "save", {{"domain", "a"}, {"path", path}});
    device.plug_into(daemon, id);
    guest_suspends(daemon, id);
    daemon.run_until([&] { return daemon.supervisor->domains().find(id)->leaving; });
    daemon.restart();
    daemon.run_until([&] { return daemon.supervisor->domains().all().empty(); });
    daemon.check_nothing_left(free);
    CHECK(daemon.perform("restore", {{"path", path}}));
}

TEST_CASE("a domain with a device that is just coming is not asked to suspend")
{
    Stuck_device device;
    Daemon_fixture daemon;
    const Domid id = daemon.create("a");
    device.plug_into(daemon, id);
    const Answer saved = daemon.perform("save", {{"domain", "a"}, {"path", daemon.directory + "/a.save"}});
    CHECK(code_of(saved) == Code::bad_state);
    CHECK(saved.error().message.find("coming or going") != std::string::npos);
    CHECK(request_of(daemon, id).empty());
}

TEST_CASE("a save of a domain that ends instead of suspending tells so at once")
{
    Daemon_fixture daemon;
    const std::string action = GENERATE(as<std::string>{}, "destroy", "preserve", "restart");
    const Domid id           = daemon.create("a", {{"on_poweroff", action}});
    const bool noted         = GENERATE(true, false);
    Pending pending(daemon, "save", {{"domain", "a"}, {"path", daemon.directory + "/a.save"}});
    daemon.run_until([&] { return request_of(daemon, id) == "suspend"; });
    if (noted) {
        daemon.store->write(domain_path(id) + "/control/shutdown", "").value();
        daemon.run_for(std::chrono::milliseconds(20));
    }
    std::string why = "it has ended instead: poweroff";
    SECTION("by itself") { daemon.guest_ends(id, Shutdown_reason::poweroff); }
    SECTION("by somebody else")
    {
        why = "it was destroyed meanwhile";
        REQUIRE(daemon.perform("destroy", {{"domain", "a"}}));
    }
    REQUIRE(pending.got->has_value());
    REQUIRE(code_of(**pending.got) == Code::no_domain);
    CHECK((*pending.got)->error().message == "\"a\" was not saved: " + why);
    CHECK(request_of(daemon, id) != "suspend");
}

TEST_CASE("a restoration that fails leaves nothing")
{
    Daemon_fixture daemon;
    const auto free        = daemon.hypervisor.free_pages;
    const std::string path = daemon.directory + "/a.save";
    REQUIRE(saved_by(daemon, daemon.create("a"), path));
    const auto size = std::filesystem::file_size(path);
    SECTION("cut short") { std::filesystem::resize_file(path, size - 20); }
    SECTION("damaged")
    {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(size / 2));
        file.put('\x55').put('\xaa');
    }
    SECTION("of another program") { std::ofstream(path) << "hello"; }
    SECTION("another processor") { daemon.hypervisor.offered[1].ecx = 0; }
    SECTION("a processor that is refused")
    {
        daemon.hypervisor.order_failure("set_cpu_policy", Errc::invalid);
    }
    SECTION("no memory") { daemon.hypervisor.free_pages = 1000; }
    SECTION("no place for its pages") { daemon.hypervisor.order_failure("populate", Errc::out_of_memory, 2); }
    SECTION("a processor state that is refused")
    {
        daemon.hypervisor.order_failure("set_context", Errc::invalid);
    }
    const auto before   = daemon.hypervisor.free_pages;
    const auto restored = daemon.perform("restore", {{"path", path}});
    REQUIRE_FALSE(restored);
    CHECK_FALSE(restored.error().message.empty());
    daemon.check_nothing_left(before);
    CHECK(before <= free);
}
