// SPDX-License-Identifier: Apache-2.0
#include "guest/event_queue.hpp"

#include <catch2/catch.hpp>

#include <string>

using vmm::guest::Event_queue;
using vmm::guest::Watch_event;

namespace
{

std::string payload(const std::string& path, const std::string& token) { return path + '\0' + token + '\0'; }

} // namespace

TEST_CASE("events are taken in the order in which they came")
{
    Event_queue queue;
    Watch_event event;
    CHECK_FALSE(queue.take(event));
    for (int i = 0; i < 5; ++i)
        queue.put(payload("path/" + std::to_string(i), "t" + std::to_string(i)));
    for (int i = 0; i < 5; ++i) {
        REQUIRE(queue.take(event));
        CHECK(event.path == "path/" + std::to_string(i));
        CHECK(event.token == "t" + std::to_string(i));
    }
    CHECK_FALSE(queue.take(event));
}

TEST_CASE("what does not fit is said once, after what did")
{
    Event_queue queue;
    Watch_event event;
    const std::string large = payload(std::string(3000, 'x'), "t");
    for (int i = 0; i < 4; ++i)
        queue.put(large);
    int whole = 0;
    int lost  = 0;
    while (queue.take(event))
        ++(event.path.empty() ? lost : whole);
    CHECK(whole == 2);
    CHECK(lost == 1);
    queue.put(large);
    REQUIRE(queue.take(event));
    CHECK(event.path.size() == 3000);
}

TEST_CASE("a payload of another form counts as lost")
{
    const std::string_view odd[] = {"", "a", {"a\0", 2}, {"a\0b", 3}, {"a\0b\0c\0", 6}, {"a\0b\0c", 5}};
    for (const std::string_view text : odd) {
        Event_queue queue;
        Watch_event event;
        queue.put(text);
        REQUIRE(queue.take(event));
        CHECK(event.path.empty());
        CHECK_FALSE(queue.take(event));
    }
}
