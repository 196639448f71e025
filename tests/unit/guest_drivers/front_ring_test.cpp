// SPDX-License-Identifier: Apache-2.0
#include "guest/types.hpp"
#include "protocol/back_ring.hpp"
#include "protocol/front_ring.hpp"

#include <catch2/catch.hpp>

#include <deque>
#include <random>

using namespace vmm::protocol;

namespace
{

struct Request {
    std::uint64_t number;
    std::uint32_t more;
};
struct Response {
    std::uint64_t number;
};
using Ring = Front_ring<Request, Response>;

struct Shared {
    vmm::guest::Page page{};
    Ring front{&page, sizeof page};
    Back_ring back{std::as_writable_bytes(std::span(page.bytes)), sizeof(Ring::Slot)};
    Ring_head& head() { return *page.as<Ring_head>(); }
};

} // namespace

TEST_CASE("requests and responses pass in order, however the two ends interleave")
{
    Shared ring;
    std::mt19937 random(7);
    std::uint64_t asked    = 0;
    std::uint64_t answered = 0;
    std::deque<std::uint64_t> taken;
    for (int step = 0; step < 200'000; ++step) {
        switch (random() % 4) {
        case 0:
            while (!ring.front.full() && random() % 3)
                ring.front.next() = {asked++, 1};
            (void)ring.front.push();
            break;
        case 1:
            for (auto count = ring.back.waiting().value(); count > 0 && random() % 4; --count) {
                Request request{};
                ring.back.take(std::as_writable_bytes(std::span(&request, 1)));
                taken.push_back(request.number);
            }
            break;
        case 2:
            while (!taken.empty() && random() % 3) {
                const Response response{taken.front()};
                taken.pop_front();
                ring.back.answer(std::as_bytes(std::span(&response, 1)));
            }
            (void)ring.back.push();
            break;
        default:
            for (Response response{}; ring.front.take(response);)
                REQUIRE(response.number == answered++);
        }
        REQUIRE(asked - answered <= ring.front.slots());
        REQUIRE_FALSE(ring.front.broken());
    }
    CHECK(answered > 50'000);
}

TEST_CASE("no wakeup is lost: who sleeps after rearm() is told")
{
    Shared ring;
    Response response{};
    for (std::uint64_t i = 0; i < 1000; ++i) {
        REQUIRE_FALSE(ring.back.rearm());
        ring.front.next() = {i, 0};
        REQUIRE(ring.front.push());
        REQUIRE_FALSE(ring.front.rearm());
        Request request{};
        ring.back.take(std::as_writable_bytes(std::span(&request, 1)));
        const Response answer{request.number};
        ring.back.answer(std::as_bytes(std::span(&answer, 1)));
        REQUIRE(ring.back.push());
        REQUIRE(ring.front.take(response));
        REQUIRE_FALSE(ring.front.take(response));
    }
}

TEST_CASE("a backend that answers what nobody asked breaks the ring and nothing else")
{
    for (const std::uint32_t ahead : {1u, 2u, 300u, 0x7fffffffu, 0x80000000u, 0xfffffffeu}) {
        Shared ring;
        Response response{};
        ring.front.next() = {1, 0};
        (void)ring.front.push();
        ring.head().response_producer = 1 + ahead;
        CHECK(ring.front.broken());
        CHECK_FALSE(ring.front.take(response));
        CHECK_FALSE(ring.front.readable());
        CHECK_FALSE(ring.front.rearm()); // a loop over rearm() ends
    }
}
