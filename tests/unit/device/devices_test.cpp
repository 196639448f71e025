// SPDX-License-Identifier: Apache-2.0
// A device's life: it comes whole or not at all, goes when asked or at once, and outlives a restart of vmmd.
#include "device_world.hpp"
#include "watching_guest.hpp"

#include <fstream>

using namespace vmm;
using namespace vmm::device;
using namespace vmm::device::test;

TEST_CASE("a plugged device has its nodes, permissions and backend")
{
    World world;
    REQUIRE(world.plug({5}));
    const std::string front = "/local/domain/3/device/vbd/5";
    const std::string back  = "/local/domain/0/backend/vbd/3/5";
    CHECK(world.node(front + "/backend") == back);
    CHECK(world.node(front + "/backend-id") == "0");
    CHECK(world.node(front + "/state") == "1");
    CHECK(world.node(front + "/device-type") == "disk");
    CHECK(world.node(back + "/frontend") == front);
    CHECK(world.node(back + "/frontend-id") == "3");
    CHECK(world.node(back + "/online") == "1");
    CHECK(world.node(back + "/mode") == "w");
    CHECK(world.node(back + "/state") == "2");
    CHECK(world.node(back + "/hotplug-status") == "connected");
    using store::Access;
    CHECK(world.store->permissions(front + "/state").value() ==
          store::Permissions{{Domid{3}, Access::none}, {kDom0, Access::read}});
    CHECK(world.store->permissions(back + "/mode").value() ==
          store::Permissions{{kDom0, Access::none}, {Domid{3}, Access::read}});
    CHECK(world.device_class->calls == std::vector<std::string>{"prepare 5", "connect 5"});

    world.kernel->guest_connects(World::at(5));
    world.store->write(front + "/ring-ref", "8").value();
    world.settle();
    const auto rows = world.devices->list(Domid{3}, "vbd");
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].backend == State::connected);
    CHECK(rows[0].frontend == State::connected);
    CHECK(rows[0].ring == Json{{"ring-ref", "8"}});
    CHECK(world.devices->list(Domid{3}, "vif").empty());
    CHECK(world.devices->list(Domid{4}).empty());
}

TEST_CASE("a device that fails on the way leaves nothing, nor do those plugged with it")
{
    World world;
    std::string expected;
    SECTION("its class refuses")
    {
        world.device_class->prepare_error = Error{Errc::not_found, "no such file"};
        expected                          = "no such file";
    }
    SECTION("its class fails at the end")
    {
        world.device_class->connect_error = Error{Errc::io, "no such bridge"};
        expected                          = "no such bridge";
    }
    SECTION("the backend fails and says why")
    {
        world.kernel->fails = true;
        expected =
            "disk xvd5 of domain 3: its backend in dom0 has failed: it says \"22 creating vbd structure\"";
    }
    const auto result = world.plug({5, 6});
    REQUIRE_FALSE(result);
    CHECK(result.error().message.starts_with(expected));
    world.check_nothing_left();
}

TEST_CASE("a device that no backend takes up leaves nothing, nor do those plugged with it")
{
    World world({.backend = kShort});
    world.kernel->has_module = false;
    const auto result        = world.plug({5, 6});
    REQUIRE_FALSE(result);
    CHECK(result.error().message.starts_with(
        "disk xvd5 of domain 3: no backend in dom0 has taken it up in 0 s: is the backend's module"));
    world.check_nothing_left();
}

TEST_CASE("one that fails takes down those that were there already")
{
    World world;
    REQUIRE(world.plug({6}));
    const auto result = world.plug({5, 6, 7});
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Errc::exists);
    CHECK(result.error().message == "disk xvd6 is there already");
    world.settle();
    CHECK(world.devices->list(Domid{3}).size() == 1); // what was there before stays
    world.unplug_all();
    world.check_nothing_left();
}

TEST_CASE("a backend may have a directory of its own, and its device is found there again")
{
    World world;
    world.device_class->backend_type = "vmmblk";
    REQUIRE(world.plug({5}));
    const std::string back = "/local/domain/0/backend/vmmblk/3/5";
    CHECK(world.node("/local/domain/3/device/vbd/5/backend") == back);
    CHECK(world.node(back + "/hotplug-status") == "connected");
    CHECK_FALSE(world.store->exists("/local/domain/0/backend/vbd"));
    world.start();
    world.devices->adopt(Domid{3});
    REQUIRE(world.devices->list(Domid{3}, "vbd").size() == 1);
    CHECK(world.devices->list(Domid{3})[0].address.backend_path() == back);
    CHECK(world.devices->list(Domid{3})[0].backend == State::init_wait);
    SECTION("the guest is asked")
    {
        world.kernel->guest_connects(World::at(5));
        world.settle();
        CHECK(world.unplug(5, Removal::ask));
    }
    SECTION("it goes at once") { world.unplug_all(); }
    world.check_nothing_left();
    CHECK(world.store->list("/local/domain/0/backend/vmmblk").value().empty());
}

TEST_CASE("nobody serves a directory of backends")
{
    World world({.backend = kShort});
    world.kernel->has_module         = false;
    world.device_class->backend_type = "vmmblk";
    const auto result                = world.plug({5});
    REQUIRE_FALSE(result);
    CHECK(result.error().message ==
          "disk xvd5 of domain 3: no backend in dom0 has taken it up in 0 s: does the "
          "program that serves vmmblk devices run?");
    world.check_nothing_left();
}

TEST_CASE("an unknown class is an error")
{
    World world;
    const auto result = world.wait([&](Done done) {
        world.devices->plug({{{Domid{3}, "9pfs", 0}, Json::object()}}, std::move(done));
    });
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Errc::unsupported);
}

TEST_CASE("a guest that is asked lets go")
{
    World world;
    REQUIRE(world.plug({5}));
    world.kernel->guest_connects(World::at(5));
    world.settle();
    SECTION("it lets go")
    {
        REQUIRE(world.unplug(5, Removal::ask));
        world.check_nothing_left();
    }
    SECTION("there is none of that number")
    {
        const auto result = world.unplug(9, Removal::force);
        REQUIRE_FALSE(result);
        CHECK(result.error().code == Errc::not_found);
        world.unplug_all();
    }
}

TEST_CASE("a guest that is asked keeps the device until it lets go")
{
    World world({.guest = kShort});
    REQUIRE(world.plug({5}));
    world.kernel->guest_connects(World::at(5));
    world.settle();
    world.kernel->guest_lets_go = false;
    SECTION("it does later")
    {
        const auto result = world.unplug(5, Removal::ask);
        REQUIRE_FALSE(result);
        CHECK(result.error().code == Errc::timed_out);
        CHECK(world.device_class->taken.size() == 1);
        world.kernel->guest_releases(World::at(5));
        world.run_until([&] { return world.devices->list(Domid{3}).empty(); });
        world.check_nothing_left();
    }
    SECTION("it is forced")
    {
        REQUIRE_FALSE(world.unplug(5, Removal::ask));
        REQUIRE(world.unplug(5, Removal::force));
        world.check_nothing_left();
    }
    SECTION("it is asked twice at once")
    {
        std::optional<Result<void>> first;
        world.devices->unplug(World::at(5), Removal::ask,
                              [&](Result<void> result) { first = std::move(result); });
        const auto second = world.unplug(5, Removal::ask);
        REQUIRE_FALSE(second);
        CHECK(second.error().code == Errc::busy);
        world.run_until([&] { return first.has_value(); });
        world.unplug_all();
        world.check_nothing_left();
    }
}

TEST_CASE("a device that the guest has not looked at yet goes without asking")
{
    World world;
    REQUIRE(world.plug({5}));
    world.settle();
    REQUIRE(world.unplug(5, Removal::ask));
    world.check_nothing_left();
}

TEST_CASE("a guest that is about to connect is asked")
{
    World world;
    store::test::Watching_guest guest(*world.store, Domid{3});
    REQUIRE(world.plug({5}));
    guest.watch("/local/domain/0/backend/vbd/3/5/state");
    world.settle();
    std::optional<Result<void>> asked;
    world.devices->unplug(World::at(5), Removal::ask,
                          [&](Result<void> result) { asked = std::move(result); });
    world.settle();
    CHECK_FALSE(asked.has_value());
    CHECK(world.node("/local/domain/3/device/vbd/5/state") ==
          "1"); // its nodes are there as it writes to them
    SECTION("it hears of it") { world.kernel->guest_releases(World::at(5)); }
    SECTION("it connects first, and its backend does, too")
    {
        world.store->write("/local/domain/0/backend/vbd/3/5/state", "4").value();
        world.store->write("/local/domain/3/device/vbd/5/state", "4").value();
    }
    world.run_until([&] { return world.devices->list(Domid{3}).empty() || asked; });
    guest.unwatch("/local/domain/0/backend/vbd/3/5/state");
    world.run_until([&] { return asked.has_value(); });
    CHECK(asked->has_value());
    world.check_nothing_left();
}

TEST_CASE("a device has gone when the guest has forgotten it")
{
    World world({.notice = kShort});
    store::test::Watching_guest guest(*world.store, Domid{3});
    REQUIRE(world.plug({5}));
    guest.watch("/local/domain/0/backend/vbd/3/5/state");
    world.kernel->guest_connects(World::at(5));
    world.settle();
    std::optional<Result<void>> done;
    const auto removal = GENERATE(Removal::ask, Removal::force);
    world.devices->unplug(World::at(5), removal, [&](Result<void> result) { done = std::move(result); });
    world.run_until([&] { return world.node("/local/domain/3/device/vbd/5/state") == "(absent)"; });
    world.settle();
    CHECK_FALSE(done.has_value());
    CHECK(world.devices->has(World::at(5))); // another of its number would be taken for it
    if (GENERATE(true, false)) {
        guest.unwatch("/local/domain/0/backend/vbd/3/5/state");
    } // else it has no time, or another reason to watch
    world.run_until([&] { return done.has_value(); });
    CHECK(done->has_value());
    world.check_nothing_left();
}

TEST_CASE("a domain that ends need not forget its devices")
{
    World world({.notice = std::chrono::hours(1)});
    store::test::Watching_guest guest(*world.store, Domid{3});
    REQUIRE(world.plug({5, 6}));
    guest.watch("/local/domain/0/backend/vbd/3/5/state");
    guest.watch("/local/domain/0/backend/vbd/3/6/state");
    bool done = false;
    world.devices->unplug(World::at(5), Removal::force, [&](const Result<void>&) { done = true; });
    world.run_until([&] { return world.node("/local/domain/3/device/vbd/5/state") == "(absent)"; });
    world.settle();
    CHECK_FALSE(done);
    world.unplug_all();
    CHECK(done);
    world.check_nothing_left();
}

TEST_CASE("a domain's end takes its devices, whatever they are doing")
{
    World world;
    SECTION("connected") { REQUIRE(world.plug({5, 6})); }
    SECTION("with its class")
    {
        world.device_class->answers_prepare = false;
        std::optional<Result<void>> plugged;
        world.devices->plug({{World::at(5), Json::object()}},
                            [&](Result<void> result) { plugged = std::move(result); });
        world.run_until([&] { return bool(world.device_class->held); });
        bool done = false;
        world.devices->unplug_all(Domid{3}, [&] { done = true; });
        CHECK_FALSE(done);
        world.device_class->held(Prepared{});
        world.run_until([&] { return done; });
        REQUIRE(plugged.has_value());
        CHECK(plugged->error().code == Errc::cancelled);
    }
    SECTION("waiting for a backend")
    {
        world.kernel->has_module = false;
        std::optional<Result<void>> plugged;
        world.devices->plug({{World::at(5), Json::object()}},
                            [&](Result<void> result) { plugged = std::move(result); });
        world.run_until([&] { return world.store->exists("/local/domain/0/backend/vbd/3/5"); });
        world.unplug_all();
        REQUIRE(plugged.has_value());
        CHECK_FALSE(plugged->has_value());
    }
    world.unplug_all();
    world.check_nothing_left();
}

TEST_CASE("a domain's end takes its devices, though a backend hangs")
{
    World world({.backend = std::chrono::seconds(3)}); // with which it has to come
    REQUIRE(world.plug({5}));
    world.kernel->never_closes = true;
    world.unplug_all();
    world.kernel->backends.clear();
    world.check_nothing_left();
}

TEST_CASE("vmmd's successor finds the devices again")
{
    World world;
    REQUIRE(world.plug({5}));
    world.start();
    CHECK(world.device_class->calls == std::vector<std::string>{R"(adopt 5 {"pid":4711})"});
    SECTION("their domain lives on")
    {
        world.devices->adopt(Domid{3});
        world.devices->drop_orphans({});
        world.settle();
        CHECK(world.devices->list(Domid{3}).size() == 1);
        CHECK(world.node("/local/domain/0/backend/vbd/3/5/state") == "2");
        world.unplug_all();
    }
    SECTION("their domain has gone") { world.devices->drop_orphans({}); }
    SECTION("their domain lives, but is not to be adopted")
    {
        world.devices->drop_orphans({Domid{3}});
        world.settle();
        CHECK(world.devices->list(Domid{3}).size() == 1);
        CHECK(world.device_class->calls.size() == 1);
        world.devices->drop_orphans({});
    }
    SECTION("the guest was being asked for it")
    {
        world.store->write("/local/domain/0/backend/vbd/3/5/online", "0").value();
        world.devices->adopt(Domid{3});
        world.devices->drop_orphans({});
        world.kernel->guest_releases(World::at(5));
    }
    world.run_until([&] { return world.devices->list(Domid{3}).empty(); });
    world.check_nothing_left();
}

TEST_CASE("what was on its way when vmmd ended is taken down by its successor")
{
    World world;
    world.device_class->answers_prepare = false;
    world.devices->plug({{World::at(5), Json::object()}}, [](const Result<void>&) {});
    world.run_until([&] { return bool(world.device_class->held); });
    world.start();
    world.devices->adopt(Domid{3});
    world.devices->drop_orphans({});
    world.run_until([&] { return world.devices->list(Domid{3}).empty(); });
    world.check_nothing_left();
}

TEST_CASE("a records file that makes no sense is set aside")
{
    World world;
    const std::string path = world.directory + "/devices.json";
    std::ofstream(path) << R"([{"domid":3}])";
    log::set_level(log::Level::error);
    world.start();
    CHECK(std::filesystem::exists(path + ".bad"));
    REQUIRE(world.plug({5}));
    world.unplug_all();
    world.check_nothing_left();
}
