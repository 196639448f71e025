// SPDX-License-Identifier: Apache-2.0
#include "backend_world.hpp"

using namespace vmm;
using namespace vmm::block;
using namespace vmm::block::test;

TEST_CASE("a device from its first node to its last", "[blkback]")
{
    World world;
    world.look();
    CHECK(world.back("state") == "2");
    CHECK(world.back("feature-persistent") == "1");
    CHECK(world.back("feature-max-indirect-segments") == "256");
    CHECK(world.back("feature-discard") == "1");
    CHECK(world.store.watched.contains(kFront + "/state"));
    world.connect();
    CHECK(world.back("state") == "4");
    CHECK(world.back("sectors") == "1000");
    CHECK(world.back("sector-size") == "512");
    CHECK(world.back("info") == "0");

    world.front.ask(BLKIF_OP_READ, 0, {{Frontend::ref(9), 0, 7}});
    REQUIRE(world.front.ring.push());
    world.events.bells.at(5)();
    world.disk.end_all();
    CHECK(world.events.notified == 1);
    CHECK(world.front.answers().size() == 1);

    world.nodes({{kBack + "/online", "0"}, {kBack + "/state", "5"}});
    world.look();
    CHECK_FALSE(world.ended);
    world.nodes({{kFront + "/state", "5"}});
    world.look();
    world.nodes({{kFront + "/state", "6"}});
    world.look();
    CHECK(world.ended);
    CHECK(world.back("state") == "6");
    CHECK(world.front.guest.mapped == 0);
    CHECK(world.events.bells.empty());
}

TEST_CASE("nothing is given back while the disk works", "[blkback]")
{
    World world;
    world.connect();
    world.front.ask(BLKIF_OP_READ, 0, {{Frontend::ref(9), 0, 7}});
    REQUIRE(world.front.ring.push());
    world.events.bells.at(5)();
    SECTION("the frontend closes") { world.nodes({{kFront + "/state", "6"}}); }
    SECTION("the domain is gone") { world.store.nodes.erase(kFront + "/state"); }
    SECTION("the toolstack has removed everything") { world.store.nodes.clear(); }
    world.look();
    CHECK(world.back("state") != "6");
    CHECK(world.front.guest.mapped == 1);
    CHECK_FALSE(world.ended);
    world.disk.end_all();
    world.look();
    CHECK(world.front.guest.mapped == 0);
    CHECK(world.front.answers().size() == 1);
    CHECK(world.disk.started.empty());
}

TEST_CASE("a guest whose disk is taken from it gets an answer to everything", "[blkback]")
{
    World world;
    world.connect();
    const auto ask = [&] {
        world.front.ask(BLKIF_OP_WRITE, 0, {{Frontend::ref(9), 0, 7}});
        REQUIRE(world.front.ring.push());
        world.events.bells.at(5)();
    };
    ask();
    world.nodes({{kBack + "/online", "0"}, {kBack + "/state", "5"}, {kFront + "/state", "6"}});
    world.look();
    CHECK(world.back("state") == "5"); // the disk still works
    world.disk.end_all();
    world.look();
    CHECK(world.back("state") == "6");
    REQUIRE_FALSE(world.ended);
    SECTION("also to what it asks after that, and when the nodes are gone")
    {
        world.store.nodes.clear();
        ask();
        ask();
        const auto answers = world.front.answers();
        REQUIRE(answers.size() == 3);
        CHECK(answers[0].status == BLKIF_RSP_OKAY);
        CHECK(answers[1].status == BLKIF_RSP_ERROR);
        CHECK(answers[2].status == BLKIF_RSP_ERROR);
        CHECK(world.disk.history == "w");
    }
    SECTION(
        "also to what it holds back until an event comes, which is not before it may have forgotten the disk")
    {
        const unsigned before = world.events.notified;
        const auto begun      = std::chrono::steady_clock::now();
        while (world.events.notified == before && !world.ended) {
            REQUIRE(world.loop->run_once(std::chrono::seconds(1)));
        }
        REQUIRE_FALSE(world.ended);
        CHECK(std::chrono::steady_clock::now() - begun >=
              std::chrono::milliseconds(4 * 2 - 1)); // of its farewell
        ask();
        CHECK(world.front.answers().size() == 2);
    }
    SECTION("but not for ever")
    {
        for (unsigned i = 0; i < 1000 && !world.ended; ++i) {
            ask();
            REQUIRE(world.loop->run_once(std::chrono::seconds(1)));
            (void)world.front.answers();
        }
    }
    for (unsigned i = 0; i < 1000 && !world.ended; ++i) {
        REQUIRE(world.loop->run_once(std::chrono::seconds(1)));
    }
    CHECK(world.ended);
    CHECK(world.front.guest.mapped == 0);
    CHECK(world.events.bells.empty());
}

TEST_CASE("a frontend may close and come again, also with other rings", "[blkback]")
{
    World world;
    world.connect();
    world.nodes({{kFront + "/state", "5"}});
    world.look();
    CHECK(world.back("state") == "5");
    world.nodes({{kFront + "/state", "6"}});
    world.look();
    CHECK(world.back("state") == "6");
    CHECK_FALSE(world.ended);
    world.nodes({{kFront + "/state", "1"}});
    world.look();
    CHECK(world.back("state") == "2");
    world.store.nodes.erase(kFront + "/ring-ref");
    world.store.nodes.erase(kFront + "/event-channel");
    Store_link::Nodes two{{kFront + "/multi-queue-num-queues", "2"}, {kFront + "/ring-page-order", "1"}};
    for (const std::string queue : {"0", "1"}) {
        const std::string path = kFront + "/queue-" + queue;
        const auto first       = Frontend::ref(queue == "0" ? 0 : 2);
        two.insert(two.end(), {{path + "/ring-ref0", std::to_string(first)},
                               {path + "/ring-ref1", std::to_string(first + 1)},
                               {path + "/event-channel", queue == "0" ? "7" : "8"}});
    }
    world.nodes(two);
    world.nodes({{kFront + "/state", "3"}});
    world.look();
    CHECK(world.back("state") == "4");
    CHECK(world.events.bells.size() == 2);
    CHECK(world.front.guest.mapped == 4);
}

TEST_CASE("rubbish in the frontend's nodes is refused in words", "[blkback]")
{
    const auto [name, value, reason] = GENERATE(table<std::string, std::string, std::string>({
        {"ring-ref", "4000000", "cannot be mapped"},
        {"ring-ref", "-1", "no number"},
        {"ring-ref", "", "no number"},
        {"ring-ref", "99999999999999999999", "no number"},
        {"ring-ref", "8 ", "no number"},
        {"event-channel", "4096", "no such port"},
        {"event-channel", "five", "no number"},
        {"protocol", "vax-abi", "'vax-abi' is not known"},
        {"ring-page-order", "5", "more than the 4 offered"},
        {"ring-page-order", "4294967295", "more than the 4 offered"},
        {"num-ring-pages", "3", "no power of two"},
        {"num-ring-pages", "0", "no power of two"},
        {"ring-page-order", "1", "there is no such node"},
        {"multi-queue-num-queues", "0", "between 1 and 4"},
        {"multi-queue-num-queues", "4294967295", "between 1 and 4"},
        {"multi-queue-num-queues", "2", "there is no such node"},
    }));
    World world;
    world.connect({{kFront + "/" + name, value}});
    CHECK(world.back("state") == "5");
    const std::string said = world.store.nodes["/local/domain/0/error/backend/vmmblk/3/51712/error"];
    CHECK_THAT(said, Catch::Contains(reason));
    CHECK(world.front.guest.mapped == 0);
    CHECK(world.events.bells.empty());
    world.look();
    CHECK(world.back("state") == "5"); // it is not tried again until the frontend has closed
}

TEST_CASE("a broken ring ends the connection, and only that", "[blkback]")
{
    World world;
    world.connect();
    reinterpret_cast<protocol::Ring_head*>(world.front.guest.page(0))->request_producer = 1000;
    world.events.bells.at(5)();
    world.look();
    CHECK(world.back("state") == "5");
    CHECK(world.front.guest.mapped == 0);
    CHECK_FALSE(world.ended);
    world.nodes({{kFront + "/state", "6"}});
    world.look();
    CHECK(world.back("state") == "6");
    world.nodes({{kFront + "/state", "1"}});
    world.look();
    CHECK(world.back("state") == "2");
}

TEST_CASE("a ring that breaks with all memory in its hands holds up no other", "[blkback]")
{
    World world;
    auto& guest = world.front.guest;
    world.connect({{kFront + "/multi-queue-num-queues", "2"},
                   {kFront + "/feature-persistent", "0"},
                   {kFront + "/queue-0/ring-ref", std::to_string(Frontend::ref(0))},
                   {kFront + "/queue-0/event-channel", "7"},
                   {kFront + "/queue-1/ring-ref", std::to_string(Frontend::ref(1))},
                   {kFront + "/queue-1/event-channel", "8"}});
    REQUIRE(world.back("state") == "4");
    protocol::Front_ring<blkif_request, blkif_response> other(guest.page(1), kPageSize);
    blkif_request& read = other.next();
    read                = {};
    read.operation      = BLKIF_OP_READ;
    read.nr_segments    = 1;
    read.seg[0]         = {Frontend::ref(9), 0, 7};
    REQUIRE(other.push());

    constexpr std::uint16_t kSegments = 100; // in a buffer of half the memory there is
    auto* segments                    = reinterpret_cast<blkif_request_segment*>(guest.page(5));
    std::fill_n(segments, kSegments, blkif_request_segment{Frontend::ref(9), 0, 7});
    for (unsigned i = 0; i < 2; ++i) {
        auto& write       = reinterpret_cast<blkif_request_indirect&>(world.front.ask(BLKIF_OP_INDIRECT, 0));
        write.indirect_op = BLKIF_OP_WRITE;
        write.nr_segments = kSegments;
        write.indirect_grefs[0] = Frontend::ref(5);
    }
    REQUIRE(world.front.ring.push());
    guest.on_call = [&] {
        if (guest.copy_ops == 2) { // the segments of the second request
            reinterpret_cast<protocol::Ring_head*>(guest.page(0))->request_producer = 1000;
        }
    };
    world.events.bells.at(7)();
    world.look();
    CHECK(guest.copy_ops == 2);
    CHECK(world.disk.started.empty());
    CHECK(world.back("state") == "5");
    CHECK(guest.mapped == 0);
}

TEST_CASE("a disk that has grown is told to the frontend", "[blkback]")
{
    World world;
    world.connect();
    world.disk.grows_to = 2000;
    world.device->measure();
    CHECK(world.back("sectors") == "2000");
    CHECK(world.back("state") == "4");
}
