// SPDX-License-Identifier: Apache-2.0
#include "store_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using namespace vmm::store;
using namespace vmm::store::test;

namespace
{

bool fits(Outbox& outbox, std::string_view path, std::string_view token)
{
    return outbox.push_event(path, token) != Outbox::Pushed::no_room;
}

} // namespace

TEST_CASE("an event equal to one still waiting is queued once")
{
    Outbox outbox({10, 1000});
    CHECK(fits(outbox, "/a", "t"));
    CHECK(fits(outbox, "/a", "t"));
    CHECK(fits(outbox, "/b", "t"));
    const std::size_t size = outbox.front().size();
    outbox.consume(3); // sent in part: the client will look after it has all of it
    CHECK(fits(outbox, "/a", "t"));
    outbox.consume(size - 3);
    outbox.consume(size);
    CHECK(outbox.empty());
    CHECK(fits(outbox, "@releaseDomain", "t"));
    CHECK(fits(outbox, "@releaseDomain", "t"));
    outbox.consume(outbox.front().size());
    CHECK_FALSE(outbox.empty()); // special events are each told
}

TEST_CASE("replies and events leave in the order they came")
{
    Outbox outbox({10, 1000});
    CHECK(fits(outbox, "/a", "t"));
    outbox.push_reply({XS_READ, 1, 0, "x"});
    CHECK(fits(outbox, "/b", "t"));
    CHECK(outbox.front() == serialise({XS_WATCH_EVENT, 0, 0, join_strings({"/a", "t"})}));
    outbox.consume(outbox.front().size());
    CHECK(outbox.front() == serialise({XS_READ, 1, 0, "x"}));
    outbox.consume(outbox.front().size());
    CHECK(outbox.front() == serialise({XS_WATCH_EVENT, 0, 0, join_strings({"/b", "t"})}));
}

TEST_CASE("an event longer than a message is never sent")
{
    Outbox outbox({10, 100000});
    CHECK(fits(outbox, "/a", std::string(4096, 't')));
    CHECK(outbox.empty());
}

TEST_CASE("requests wait while too many replies have not been taken")
{
    Outbox outbox({2, 1000});
    outbox.push_reply({XS_READ, 1, 0, {}});
    CHECK(outbox.accepts_requests());
    outbox.push_reply({XS_READ, 2, 0, {}});
    CHECK_FALSE(outbox.accepts_requests());
    outbox.consume(outbox.front().size());
    CHECK(outbox.accepts_requests());
}

TEST_CASE("a client that does not read costs a bounded amount, and misses no change when it reads again")
{
    Quotas quotas;
    quotas.pending_event_bytes = 2000;
    World world(quotas);
    Session slow(world.store, Domid(3), [] {});
    REQUIRE(world.dom0.mkdir("/d") == "OK");
    REQUIRE(world.dom0.set_perms("/d", "r0") == "OK");
    REQUIRE(slow.add_watch("/d/a", "ta", std::nullopt));
    REQUIRE(slow.add_watch("/d/b", "tb", std::nullopt));
    for (int i = 0; i < 1000; ++i) {
        REQUIRE(world.dom0.write("/d/a/" + std::to_string(i), "x") == "OK");
    }
    REQUIRE(world.dom0.write("/d/b/last", "x") == "OK");
    std::size_t bytes = 0;
    std::set<std::string> tail;
    while (!slow.outbox().empty()) {
        const std::string event(slow.outbox().front());
        bytes += event.size();
        tail.insert(event.substr(kHeaderBytes));
        slow.consumed(event.size());
    }
    CHECK(bytes < 4000);
    CHECK(tail.contains(join_strings({"/d/a", "ta"}))); // stands for all that were dropped
    CHECK(tail.contains(join_strings({"/d/b", "tb"})));
}
