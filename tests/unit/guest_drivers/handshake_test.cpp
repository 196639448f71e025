// SPDX-License-Identifier: Apache-2.0
#include "protocol/front_handshake.hpp"
#include "protocol/number.hpp"

#include <catch2/catch.hpp>

using namespace vmm::protocol;
using enum Xenbus_state;

namespace
{

constexpr Xenbus_state kStates[] = {unknown, initialising, init_wait,     initialised, connected,
                                    closing, closed,       reconfiguring, reconfigured};
constexpr Front_phase kPhases[]  = {Front_phase::waiting,  Front_phase::offered, Front_phase::running,
                                    Front_phase::draining, Front_phase::leaving, Front_phase::closed,
                                    Front_phase::gone};

} // namespace

TEST_CASE("a device comes up, runs, and is taken away")
{
    CHECK(front_step(Front_phase::waiting, initialising) == Front_step::wait);
    CHECK(front_step(Front_phase::waiting, init_wait) == Front_step::offer);
    CHECK(front_step(Front_phase::offered, init_wait) == Front_step::wait);
    CHECK(front_step(Front_phase::offered, initialised) == Front_step::wait);
    CHECK(front_step(Front_phase::offered, connected) == Front_step::accept);
    CHECK(front_step(Front_phase::running, connected) == Front_step::refresh);
    CHECK(front_step(Front_phase::running, reconfiguring) == Front_step::refresh);
    CHECK(front_step(Front_phase::running, closing) == Front_step::let_go);
    CHECK(front_step(Front_phase::draining, closing) == Front_step::finish);
    CHECK(front_step(Front_phase::draining, connected) == Front_step::finish);
    CHECK(front_step(Front_phase::leaving, closing) == Front_step::wait);
    CHECK(front_step(Front_phase::leaving, closed) == Front_step::take_back);
    CHECK(front_step(Front_phase::closed, closed) == Front_step::wait);
    CHECK(front_step(Front_phase::closed, unknown) == Front_step::vanish);
    CHECK(front_step(Front_phase::gone, unknown) == Front_step::wait);
}

TEST_CASE("a backend that was closed waits for the frontend to come back")
{
    CHECK(front_step(Front_phase::waiting, closed) == Front_step::wait);
    CHECK(front_step(Front_phase::waiting, init_wait) == Front_step::offer);
}

TEST_CASE("a new backend in place of the one that ran")
{
    for (const Xenbus_state state : {initialising, init_wait, initialised})
        CHECK(front_step(Front_phase::running, state) == Front_step::start_over);
    CHECK(front_step(Front_phase::leaving, init_wait) == Front_step::take_back);
}

TEST_CASE("pages are taken back only from a backend that says it has let go, or is gone")
{
    for (const Xenbus_state state : kStates) {
        const Front_step step = front_step(Front_phase::leaving, state);
        if (state == connected || state == closing || state == initialised)
            CHECK(step == Front_step::wait);
    }
}

TEST_CASE("whatever the backend says, nothing is offered twice and a device without backend goes")
{
    for (const Front_phase phase : kPhases) {
        for (const Xenbus_state state : kStates) {
            const Front_step step = front_step(phase, state);
            if (step == Front_step::offer)
                CHECK((phase == Front_phase::waiting && state == init_wait));
            if (step == Front_step::accept)
                CHECK((phase == Front_phase::offered && state == connected));
            if (state == unknown)
                CHECK((step == Front_step::vanish) == (phase != Front_phase::gone));
        }
    }
}

TEST_CASE("numbers of the store are digits and nothing else")
{
    CHECK(number_from("0", 7) == 0);
    CHECK(number_from("18446744073709551615", 7) == ~std::uint64_t{0});
    for (const char* text : {"", " 1", "1 ", "-1", "+1", "0x10", "18446744073709551616", "1\n"})
        CHECK(number_from(text, 7) == 7);
    CHECK(number_from({}, 7) == 7);
}
