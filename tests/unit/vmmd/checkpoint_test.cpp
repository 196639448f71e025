// SPDX-License-Identifier: Apache-2.0
// Domains to files with the state of their disks, and forks with disks: real files, and a script for
// qemu-img.
#include "daemon_fixture.hpp"
#include "fake_kernel.hpp"
#include "image_disks.hpp"
#include "killed_daemon.hpp"

#include "toolstack/config/domain_config_json.hpp"
#include "toolstack/vmmd/domain_nodes.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <sstream>

using namespace vmm;
using namespace vmm::test;
using control::Code;
using control::Json;
namespace fs = std::filesystem;

namespace
{

struct World {
    Image_disks disks;
    Daemon_fixture daemon;
    std::unique_ptr<Fake_kernel> kernel;
    std::string image = daemon.directory + "/a.qcow2";
    std::string file  = daemon.directory + "/a.point";

    World()
    {
        daemon.devices->add(disks);
        kernel = std::make_unique<Fake_kernel>(*daemon.store);
        std::ofstream(daemon.directory + "/empty", std::ios::binary)
            << "QFI\xfb" << std::string(68, '\1'); // a header
        fs::copy(daemon.directory + "/empty", image);
        script("cp ${0%/*}/empty \"${11}\" && printf %s \"$9\" >> \"${11}\"");
    }
    ~World() { kernel.reset(); }
    void script(const std::string& text) const
    {
        const std::string path = daemon.directory + "/qemu-img";
        std::ofstream(path) << "#!/bin/sh\n" << text << '\n';
        fs::permissions(path, fs::perms::owner_all);
    }
    Domid create(const Json& more = Json::array())
    {
        Json disk = Json::array({{{"vdev", "xvda"}, {"format", "qcow2"}, {"target", image}}});
        for (const Json& one : more) {
            disk.push_back(one);
        }
        return daemon.create("a", {{"disk", disk}});
    }
    void guest_suspends(Domid id)
    {
        const auto node = domain_path(id) + "/control/shutdown";
        daemon.run_until([&] { return daemon.node(node) == "suspend"; });
        daemon.store->write(node, "").value();
        daemon.guest_ends(id, Shutdown_reason::suspend);
    }
    Answer checkpoint(Domid id, const std::string& after = "run")
    {
        Pending pending(daemon, "save", {{"domain", "a"}, {"path", file}, {"after", after}, {"disks", true}});
        guest_suspends(id);
        return pending.finish(daemon);
    }
    [[nodiscard]] Answer restore() { return daemon.perform("restore", {{"path", file}}); }
    Json fork_args()
    {
        auto config = daemon.supervisor->domains().find_name("a")->config;
        config.name = "b";
        config.uuid.reset();
        return {{"domain", "a"}, {"config", config::to_json(config)}};
    }
    Answer fork(Domid parent)
    {
        Pending pending(daemon, "fork", fork_args());
        guest_suspends(parent);
        return pending.finish(daemon);
    }
    void check_runs_on(Domid id)
    {
        CHECK_FALSE(daemon.hypervisor.domain(id).info.shutdown);
        CHECK_FALSE(daemon.hypervisor.domain(id).info.paused);
    }
    // What the script noted; empty of the first image.
    static std::string behind(const std::string& path)
    {
        std::ostringstream text;
        text << std::ifstream(path, std::ios::binary).rdbuf();
        REQUIRE(text.str().size() >= 72);
        return text.str().substr(72);
    }
    // Names in the folder that begin with the image's.
    [[nodiscard]] std::size_t images() const
    {
        std::size_t count = 0;
        for (const auto& entry : fs::directory_iterator(daemon.directory)) {
            const std::string name = entry.path().filename();
            count += name.starts_with("a.qcow2") || name.starts_with("a-") || name.starts_with(".") ? 1 : 0;
        }
        return count;
    }
};

std::string message(const Answer& answer)
{
    REQUIRE_FALSE(answer);
    return answer.error().message;
}

} // namespace

TEST_CASE("a domain goes back, with its disk, any number of times")
{
    World world;
    const Domid id   = world.create();
    const auto saved = world.checkpoint(id);
    INFO((saved ? "" : saved.error().message));
    REQUIRE(saved);
    world.check_runs_on(id);
    REQUIRE(saved->at("disks").size() == 1);
    const auto base = saved->at("disks")[0].at("base").get<std::string>();
    CHECK(base.starts_with(world.image + ".frozen-"));
    CHECK(World::behind(base).empty());
    CHECK(World::behind(world.image) == base);
    std::ofstream(world.image, std::ios::app) << "+written";
    for (unsigned times = 0; times < 2; ++times) {
        CHECK_THAT(message(world.restore()), Catch::Contains("is already called"));
        REQUIRE(world.daemon.perform("destroy", {{"domain", "a"}}));
        const auto restored = world.restore();
        INFO((restored ? "" : restored.error().message));
        REQUIRE(restored);
        REQUIRE(restored->at("set_aside").size() == 1);
        const auto& aside = restored->at("set_aside")[0];
        CHECK(aside.at("vdev") == "xvda");
        CHECK(aside.at("target") == world.image);
        CHECK(World::behind(aside.at("now").get<std::string>()) == base + (times == 0 ? "+written" : ""));
        CHECK(World::behind(world.image) == base);
    }
    CHECK(world.images() == 4);
    CHECK(world.disks.times == 1);
}

TEST_CASE("a checkpoint leaves alone what the domain only reads, and may end it")
{
    World world;
    const Domid id   = world.create({{{"vdev", "xvdb"}, {"target", "/b.img"}, {"access", "ro"}},
                                     {{"vdev", "xvdc"}, {"cdrom", true}, {"access", "ro"}}});
    const auto saved = world.checkpoint(id, "destroy");
    REQUIRE(saved);
    CHECK(saved->at("disks").size() == 1);
    CHECK(world.daemon.supervisor->domains().all().empty());
    CHECK(world.restore().has_value());
}

TEST_CASE("a domain that writes other disks is refused before it hears of it")
{
    World world;
    const Domid id = world.create({{{"vdev", "xvdb"}, {"target", "/b.img"}}});
    const auto refused =
        world.daemon.perform("save", {{"domain", "a"}, {"path", world.file}, {"disks", true}});
    CHECK_THAT(message(refused), Catch::Contains("disk xvdb (/b.img) is writable and raw"));
    CHECK_THAT(message(world.daemon.perform("fork", world.fork_args())),
               Catch::Contains("disk xvdb (/b.img) is writable and raw") && Catch::Contains("--no-disks"));
    world.check_runs_on(id);
    CHECK(world.images() == 1);
}

TEST_CASE("a checkpoint that fails leaves the domain running on a whole image, and no file")
{
    World world;
    const Domid id = world.create();
    std::string reason;
    bool frozen = false;
    SECTION("no image can be made")
    {
        world.script("echo 'qemu-img: No space left on device' >&2; exit 1");
        reason = "qemu-img says: No space left on device";
    }
    SECTION("its programs do not end")
    {
        world.disks.trouble = "qemu-nbd does not end";
        reason              = world.disks.trouble;
    }
    SECTION("the file cannot be written")
    {
        world.daemon.hypervisor.order_failure("context", Errc::io);
        reason = "frozen already stay behind those, and nothing is lost: " + world.image + ".frozen-";
        frozen = true;
    }
    CHECK_THAT(message(world.checkpoint(id)), Catch::Contains(reason));
    world.check_runs_on(id);
    CHECK_FALSE(fs::exists(world.file));
    CHECK(world.images() == (frozen ? 2 : 1));
    CHECK(World::behind(world.image).empty() != frozen);
    world.disks.trouble.clear();
    world.script("cp ${0%/*}/empty \"${11}\" && printf %s \"$9\" >> \"${11}\"");
    CHECK(world.checkpoint(id).has_value()); // another time
}

TEST_CASE("a checkpoint is called off at any moment")
{
    World world;
    const Domid id = world.create();
    Pending pending(world.daemon, "save",
                    {{"domain", "a"}, {"path", world.file}, {"after", "run"}, {"disks", true}});
    SECTION("while images are made")
    {
        world.guest_suspends(id);
        pending.cancel();
    }
    SECTION("while a disk is closed")
    {
        world.disks.closed = [&] { pending.cancel(); };
        world.guest_suspends(id);
    }
    CHECK_THAT(message(pending.finish(world.daemon)), Catch::Contains("cancelled"));
    world.check_runs_on(id);
    CHECK_FALSE(fs::exists(world.file));
    world.disks.closed = nullptr;
    CHECK(world.checkpoint(id).has_value());
}

TEST_CASE("a domain that is destroyed while its disk is frozen is gone")
{
    World world;
    const Domid id = world.create();
    Pending pending(world.daemon, "save",
                    {{"domain", "a"}, {"path", world.file}, {"after", "run"}, {"disks", true}});
    world.disks.closed = [&] {
        world.daemon.operations->perform("destroy", {{"domain", "a"}},
                                         {[](const Answer&) {}, [] { return true; }});
    };
    world.guest_suspends(id);
    CHECK_THAT(message(pending.finish(world.daemon)), Catch::Contains("destroyed meanwhile"));
    world.daemon.run_until([&] { return world.daemon.supervisor->domains().all().empty(); });
    CHECK_FALSE(fs::exists(world.file));
}

TEST_CASE("a vmmd that ends while it freezes leaves the domain running on a whole image")
{
    World world;
    const Domid id = world.create();
    Pending pending(world.daemon, "save",
                    {{"domain", "a"}, {"path", world.file}, {"after", "run"}, {"disks", true}});
    world.guest_suspends(id);
    world.kernel.reset();
    world.daemon.restart();
    world.check_runs_on(id);
    CHECK_FALSE(fs::exists(world.file));
    CHECK(World::behind(world.image).empty());
    CHECK(world.images() == 1);
}

TEST_CASE("a restoration that fails leaves the disk as it was")
{
    World world;
    REQUIRE(world.checkpoint(world.create(), "destroy"));
    std::ofstream(world.image, std::ios::app) << "+written";
    const auto before = World::behind(world.image);
    const auto images = world.images();
    std::string reason;
    SECTION("the disk is in use")
    {
        world.disks.in_use = "it is disk xvdx of domain 7";
        reason             = world.disks.in_use;
    }
    SECTION("no image can be made")
    {
        world.script("echo 'qemu-img: none today' >&2; exit 1");
        reason = "qemu-img says: none today";
    }
    SECTION("its memory cannot come back")
    {
        world.daemon.hypervisor.order_failure("set_context", Errc::io);
        reason = "";
    }
    SECTION("its device does not come")
    {
        world.disks.no_device = "no backend";
        reason                = world.disks.no_device;
    }
    const auto restored = world.restore();
    CHECK_THAT(message(restored), Catch::Contains(reason));
    CHECK(World::behind(world.image) == before);
    CHECK(world.images() == images);
    CHECK(world.daemon.supervisor->domains().all().empty());
    if (!world.disks.no_device.empty() || !world.disks.in_use.empty()) {
        world.disks.no_device.clear();
        world.disks.in_use.clear();
        CHECK(world.restore().has_value());
    }
}

TEST_CASE("a restoration that vmmd dies in leaves the disk as it was before")
{
    log::set_level(log::Level::error);
    World world;
    REQUIRE(world.checkpoint(world.create(), "destroy"));
    std::ofstream(world.image, std::ios::app) << "+written";
    const auto before = World::behind(world.image);
    const auto images = world.images();
    Killed_daemon killed(world.daemon, "unpause");
    REQUIRE(world.restore());
    REQUIRE(World::behind(world.image) != before);
    world.kernel.reset();
    killed.restart();
    CHECK(World::behind(world.image) == before);
    CHECK(world.images() == images);
    world.daemon.run_until([&] { return world.daemon.hypervisor.domains.size() == 1; });
}

TEST_CASE("a restoration without what was frozen is refused")
{
    World world;
    const auto saved = world.checkpoint(world.create(), "destroy");
    REQUIRE(saved);
    fs::remove(saved->at("disks")[0].at("base").get<std::string>());
    CHECK_THAT(message(world.restore()), Catch::Contains("is not there any more"));
    CHECK(world.daemon.supervisor->domains().all().empty());
}

TEST_CASE("a fork and its parent go on from one disk, each with an image of its own")
{
    World world;
    const Domid id  = world.create({{{"vdev", "xvdb"}, {"target", "/b.img"}, {"access", "ro"}}});
    const auto made = world.fork(id);
    INFO((made ? "" : made.error().message));
    REQUIRE(made);
    world.check_runs_on(id);
    const std::string own = world.daemon.directory + "/a-b.qcow2";
    CHECK(made->at("disks") == Json::array({{{"vdev", "xvda"}, {"target", own}}}));
    CHECK(World::behind(own).starts_with(world.image + ".frozen-"));
    CHECK(World::behind(own) == World::behind(world.image));
    const Domid b{made->at("domid").get<std::uint16_t>()};
    CHECK(world.daemon.supervisor->domains().find(b)->config.disks[0].target == own);
    CHECK(world.daemon.supervisor->domains().find(b)->config.disks[1].target == "/b.img");
    CHECK(world.daemon.supervisor->domains().find(id)->config.disks[0].target == world.image);
    REQUIRE(world.daemon.perform("destroy", {{"domain", "b"}}));
    CHECK(fs::exists(own));
    CHECK_THAT(message(world.daemon.perform("fork", world.fork_args())),
               Catch::Contains("/a-b.qcow2, which exists"));
}

TEST_CASE("a fork that fails leaves no image of its own")
{
    World world;
    const Domid id = world.create();
    SECTION("its memory cannot be forked")
    {
        world.daemon.hypervisor.order_failure("fork_memory", Errc::out_of_memory);
    }
    SECTION("its device does not come") { world.disks.no_device = "no backend"; }
    SECTION("its place is taken meanwhile")
    {
        world.disks.closed = [&] { std::ofstream(world.daemon.directory + "/a-b.qcow2") << "mine"; };
    }
    CHECK_FALSE(world.fork(id));
    world.check_runs_on(id);
    CHECK(World::behind(world.image).starts_with(world.image + ".frozen-"));
    const bool taken = static_cast<bool>(world.disks.closed);
    CHECK(world.images() == (taken ? 3 : 2));
    if (taken) {
        CHECK(fs::file_size(world.daemon.directory + "/a-b.qcow2") == 4);
    }
}
