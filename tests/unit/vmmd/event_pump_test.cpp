// SPDX-License-Identifier: Apache-2.0
// Events, some of which the driver does not tell of.
#include "toolstack/xen/event_pump.hpp"

#include <catch2/catch.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <vector>

using namespace vmm;

namespace
{

using Clock = Event_loop::Clock;

// A driver with a ring of events; it is told of by hand.
struct Driver {
    int fd      = eventfd(0, EFD_NONBLOCK);
    int waiting = 0;
    std::vector<Clock::time_point> served;
    int attempts = 0;

    ~Driver() { close(fd); }
    void tell() const { REQUIRE(eventfd_write(fd, 1) == 0); }
    bool dispatch()
    {
        ++attempts;
        eventfd_t value = 0;
        (void)eventfd_read(fd, &value);
        if (waiting == 0) {
            return false;
        }
        --waiting;
        served.push_back(Clock::now());
        return true;
    }
};

void run_for(Event_loop& loop, std::chrono::milliseconds time)
{
    bool over = false;
    loop.after(time, [&] { over = true; });
    while (!over) {
        REQUIRE(loop.run_once(time));
    }
}

} // namespace

TEST_CASE("events that nobody told of are served, and then nothing is looked for any more")
{
    const auto loop = Event_loop::create().value();
    Driver driver;
    Event_pump pump(*loop, [&] { return driver.dispatch(); });
    REQUIRE(pump.start(driver.fd));

    const auto told = Clock::now();
    driver.waiting  = 20; // all but the first lose their wake-up
    driver.tell();
    while (driver.served.size() < 20 && Clock::now() < told + std::chrono::seconds(60)) {
        run_for(*loop, Event_pump::kLookAgain / 5);
    }
    REQUIRE(driver.served.size() == 20);
    CHECK(driver.served[1] - told >= Event_pump::kLookAgain);
    CHECK(driver.waiting == 0);

    run_for(*loop, Event_pump::kLookAgain * 3);
    const int attempts = driver.attempts;
    run_for(*loop, Event_pump::kLookAgain * 3);
    CHECK(driver.attempts == attempts);

    driver.waiting = 1;
    driver.tell();
    run_for(*loop, std::chrono::milliseconds(20));
    CHECK(driver.served.size() == 21);
}
