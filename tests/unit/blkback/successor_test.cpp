// SPDX-License-Identifier: Apache-2.0
// A backend that is killed, and one whose store goes: what comes after takes up where it was.
#include "backend_world.hpp"

using namespace vmm;
using namespace vmm::block;
using namespace vmm::block::test;

TEST_CASE("a successor takes up the rings of a killed process", "[blkback]")
{
    World world;
    world.connect();
    for (unsigned i = 0; i < 3; ++i) {
        world.front.ask(BLKIF_OP_WRITE, i, {{Frontend::ref(9), 0, 0}});
    }
    REQUIRE(world.front.ring.push());
    world.events.bells.at(5)();
    CHECK(world.disk.started.size() == 3);
    world.disk.started.clear();
    world.nodes({{kFront + "/state", "4"}});
    world.begin();
    world.look();
    CHECK(world.back("state") == "4");
    CHECK(world.disk.started.size() == 3);
    world.disk.end_all();
    CHECK(world.front.answers().size() == 3);
}

TEST_CASE("a successor tells the frontend that the disk has grown in the meantime", "[blkback]")
{
    World world;
    world.connect();
    world.nodes({{kFront + "/state", "4"}});
    world.disk.shape().sectors = 2000;
    world.begin();
    world.look();
    CHECK(world.back("state") == "4");
    CHECK(world.back("sectors") == "2000");
}

TEST_CASE("the store may be away and come back", "[blkback]")
{
    World world;
    world.connect();
    world.store.away = true;
    world.look();
    world.front.ask(BLKIF_OP_READ, 0, {{Frontend::ref(9), 0, 7}});
    REQUIRE(world.front.ring.push());
    world.events.bells.at(5)();
    world.disk.end_all();
    CHECK(world.front.answers().size() == 1);
    world.nodes({{kFront + "/state", "6"}, {kBack + "/online", "0"}});
    world.store.away = false;
    world.look();
    CHECK(world.ended);
}

TEST_CASE("what is said as the store goes is said again when it is back", "[blkback]")
{
    World world;
    const auto store_comes_back = [&] {
        REQUIRE(world.store.away);
        world.store.away = world.store.goes = false;
        world.look();
    };
    SECTION("the offer")
    {
        world.store.goes = true;
        world.look();
        store_comes_back();
        CHECK(world.back("state") == "2");
        CHECK(world.back("feature-persistent") == "1");
    }
    SECTION("that it is connected")
    {
        world.look();
        world.store.goes = true;
        world.connect();
        CHECK(world.back("state") == "2");
        store_comes_back();
        CHECK(world.back("state") == "4");
        CHECK(world.back("sectors") == "1000");
    }
    SECTION("another size")
    {
        world.connect();
        world.disk.grows_to = 2000;
        world.store.goes    = true;
        world.device->measure();
        store_comes_back();
        CHECK(world.back("sectors") == "2000");
    }
    SECTION("another size than the predecessor's")
    {
        world.connect();
        world.disk.shape().sectors = 2000;
        world.begin();
        world.store.goes         = true;
        world.store.goes_reading = kBack + "/sectors";
        world.look();
        store_comes_back();
        CHECK(world.back("sectors") == "2000");
    }
    SECTION("but not over what the toolstack has said since")
    {
        world.look();
        world.store.goes = true;
        world.connect();
        world.nodes({{kBack + "/online", "0"}, {kBack + "/state", "5"}});
        store_comes_back();
        CHECK(world.back("state") == "5");
    }
    SECTION("nor once the frontend has gone on")
    {
        world.look();
        world.store.goes = true;
        world.connect();
        world.nodes({{kFront + "/state", "6"}});
        store_comes_back();
        CHECK(world.back("state") == "6");
        CHECK(world.back("sectors").empty());
    }
}
