// SPDX-License-Identifier: Apache-2.0
// A whole device: the store's nodes, the rings they lead to, and the way out.
#include "fake_disk.hpp"
#include "frontend.hpp"
#include "guest-drivers/backend/device.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <set>

using namespace vmm;
using namespace vmm::block;
using namespace vmm::block::test;

namespace
{

struct Fake_store final : Store_link {
    Result<std::optional<std::string>> read(const std::string& path) override
    {
        if (away || (goes && path == goes_reading)) {
            away = true;
            return fail(Errc::not_connected, "the store is gone");
        }
        const auto found = nodes.find(path);
        return found == nodes.end() ? std::nullopt : std::optional(found->second);
    }
    Result<bool> write_if(const std::string& guard, const Nodes& more) override
    {
        if (away || goes) {
            away = true;
            return fail(Errc::not_connected, "the store is gone");
        }
        if (!nodes.contains(guard)) {
            return false;
        }
        for (const auto& [path, value] : more) {
            nodes[path] = value;
        }
        return true;
    }
    Result<void> watch(const std::string& path) override
    {
        watched.insert(path);
        return {};
    }

    std::map<std::string, std::string> nodes;
    std::set<std::string> watched;
    bool away = false;
    bool goes = false; // with the next write, or before, as this is read:
    std::string goes_reading;
};

struct Fake_events final : Events {
    Result<Evtchn_port> bind(Evtchn_port remote, std::function<void()> rung) override
    {
        if (raw(remote) > 100) {
            return fail(Errc::invalid, "there is no such port");
        }
        bells[raw(remote)] = std::move(rung);
        return remote;
    }
    void unbind(Evtchn_port port) override { bells.erase(raw(port)); }
    void notify(Evtchn_port) override { ++notified; }

    std::map<std::uint32_t, std::function<void()>> bells;
    unsigned notified = 0;
};

const std::string kBack  = "/local/domain/0/backend/vmmblk/3/51712";
const std::string kFront = "/local/domain/3/device/vbd/51712";

struct World {
    World() : front(64), disk(1000, false)
    {
        begin();
        nodes({{kBack + "/frontend", kFront},
               {kBack + "/frontend-id", "3"},
               {kBack + "/online", "1"},
               {kBack + "/state", "1"},
               {kFront + "/state", "1"}});
    }
    void begin()
    {
        device.emplace(Device::Settings{.frontend = Domid{3},
                                        .path     = kBack,
                                        .cdrom    = false,
                                        .offer    = {},
                                        .farewell = std::chrono::milliseconds(2)},
                       Device::Services{*loop, store, disk, buffers, front.guest, events, complaints, log});
        REQUIRE(device->begin([this] { ended = true; }));
    }
    void nodes(const Store_link::Nodes& some)
    {
        for (const auto& [path, value] : some) {
            store.nodes[path] = value;
        }
    }
    void look()
    {
        device->look();
        for (int i = 0; i < 4; ++i) {
            loop->defer([] {});
            REQUIRE(loop->run_once(std::chrono::nanoseconds(0)));
        }
    }
    // What the frontend says when it has seen the offer; then it is connected, or refused.
    void connect(const Store_link::Nodes& instead = {})
    {
        look();
        nodes({{kFront + "/ring-ref", std::to_string(Frontend::ref(0))},
               {kFront + "/event-channel", "5"},
               {kFront + "/protocol", "x86_64-abi"},
               {kFront + "/feature-persistent", "1"},
               {kFront + "/state", "3"}});
        nodes(instead);
        look();
    }
    [[nodiscard]] std::string back(const std::string& name) { return store.nodes[kBack + "/" + name]; }

    std::unique_ptr<Event_loop> loop = Event_loop::create().value();
    Fake_store store;
    Fake_events events;
    Frontend front;
    Fake_disk disk;
    Buffer_pool buffers{Buffer_pool::kLargest};
    Complaints complaints{"test", [](std::string_view) {}};
    Request_log log = Request_log::open("").value();
    std::optional<Device> device;
    bool ended = false;
};

} // namespace

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

TEST_CASE("a disk that has grown is told to the frontend", "[blkback]")
{
    World world;
    world.connect();
    world.disk.grows_to = 2000;
    world.device->measure();
    CHECK(world.back("sectors") == "2000");
    CHECK(world.back("state") == "4");
}
