// SPDX-License-Identifier: Apache-2.0
#include "toolstack/base/event_loop.hpp"

#include <catch2/catch.hpp>

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

using namespace vmm;
using namespace std::chrono_literals;

namespace
{

struct Pair {
    Pair()
    {
        std::array<int, 2> fds{};
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()) == 0);
        ours.reset(fds[0]);
        theirs.reset(fds[1]);
    }
    void poke() const { REQUIRE(::write(theirs.get(), "x", 1) == 1); }
    Unique_fd ours;
    Unique_fd theirs;
};

std::unique_ptr<Event_loop> make_loop() { return std::move(*Event_loop::create()); }

} // namespace

TEST_CASE("a descriptor's callback runs when it is readable, until removed")
{
    const auto loop = make_loop();
    Pair pair;
    int calls = 0;
    REQUIRE(loop->add(pair.ours.get(), EPOLLIN,
                      [&](std::uint32_t events) { calls += (events & EPOLLIN) ? 1 : 100; }));
    CHECK_FALSE(loop->add(pair.ours.get(), EPOLLIN, [](std::uint32_t) {}));
    REQUIRE(loop->run_once(0ms));
    CHECK(calls == 0);
    pair.poke();
    REQUIRE(loop->run_once(1s));
    REQUIRE(loop->run_once(1s)); // level triggered
    CHECK(calls == 2);
    REQUIRE(loop->modify(pair.ours.get(), 0));
    REQUIRE(loop->run_once(0ms));
    CHECK(calls == 2);
    loop->remove(pair.ours.get());
    CHECK_FALSE(loop->modify(pair.ours.get(), EPOLLIN));
}

TEST_CASE("a callback may remove itself and others whose event was already fetched")
{
    const auto loop = make_loop();
    Pair one;
    Pair two;
    int calls              = 0;
    const auto remove_both = [&](std::uint32_t) {
        ++calls;
        loop->remove(one.ours.get());
        loop->remove(two.ours.get());
    };
    REQUIRE(loop->add(one.ours.get(), EPOLLIN, remove_both));
    REQUIRE(loop->add(two.ours.get(), EPOLLIN, remove_both));
    one.poke();
    two.poke();
    REQUIRE(loop->run_once(1s));
    REQUIRE(loop->run_once(0ms));
    CHECK(calls == 1);
}

TEST_CASE("a descriptor number used again gets its own events only")
{
    const auto loop = make_loop();
    Pair one;
    Pair two;
    std::string order;
    const int reused = two.ours.get();
    const auto swap  = [&](std::uint32_t) {
        order += 'a';
        loop->remove(one.ours.get());
        loop->remove(reused);
        two = Pair(); // the event fetched for the old descriptor is stale now
        if (two.ours.get() == reused) {
            order += '=';
        }
        REQUIRE(loop->add(two.ours.get(), EPOLLIN, [&](std::uint32_t) { order += 'c'; }));
    };
    REQUIRE(loop->add(one.ours.get(), EPOLLIN, swap));
    REQUIRE(loop->add(reused, EPOLLIN, swap));
    one.poke();
    two.poke();
    REQUIRE(loop->run_once(1s));
    REQUIRE(loop->run_once(0ms));
    CHECK(order.find('c') == std::string::npos);
}

TEST_CASE("timers fire in order of time, once or repeatedly, and can be cancelled from callbacks")
{
    const auto loop = make_loop();
    std::string order;
    loop->after(20ms, [&] { order += 'b'; });
    loop->after(5ms, [&] { order += 'a'; });
    const auto cancelled = loop->after(10ms, [&] { order += 'X'; });
    loop->cancel(cancelled);
    loop->cancel(cancelled);
    Event_loop::Timer_id periodic{};
    int ticks        = 0;
    periodic         = loop->every(30ms, [&] {
        order += 't';
        if (++ticks == 3) {
            loop->cancel(periodic);
            loop->stop();
        }
    });
    const auto start = Event_loop::Clock::now();
    REQUIRE(loop->run());
    CHECK(order == "abttt");
    CHECK(Event_loop::Clock::now() - start >= 90ms);
}

TEST_CASE("a timer that re-arms itself at once does not starve descriptors")
{
    const auto loop = make_loop();
    Pair pair;
    int spins                   = 0;
    std::function<void()> again = [&] {
        ++spins;
        loop->after(0ms, again);
    };
    loop->after(0ms, again);
    REQUIRE(loop->add(pair.ours.get(), EPOLLIN, [&](std::uint32_t) { loop->stop(); }));
    pair.poke();
    REQUIRE(loop->run());
    CHECK(spins <= 2);
}

TEST_CASE("deferred work runs on the next turn, work it defers on the one after")
{
    const auto loop = make_loop();
    std::string order;
    loop->defer([&] {
        order += '1';
        loop->defer([&] { order += '2'; });
    });
    REQUIRE(loop->run_once(10s)); // does not wait
    CHECK(order == "1");
    REQUIRE(loop->run_once(10s));
    CHECK(order == "12");
}

TEST_CASE("signals arrive as callbacks")
{
    const auto loop = make_loop();
    std::vector<int> seen;
    REQUIRE(loop->on_signals({SIGUSR1, SIGUSR2}, [&](int number) { seen.push_back(number); }));
    REQUIRE(loop->on_signals({SIGHUP}, [&](int number) { seen.push_back(number * 100); }));
    kill(getpid(), SIGUSR1);
    REQUIRE(loop->run_once(1s));
    kill(getpid(), SIGHUP);
    REQUIRE(loop->run_once(1s));
    CHECK(seen == std::vector<int>{SIGUSR1, SIGHUP * 100});
}

TEST_CASE("a child's exit is reported once with its status")
{
    const auto loop   = make_loop();
    const pid_t child = fork();
    if (child == 0) {
        _exit(7);
    }
    int status = -1;
    REQUIRE(loop->on_child_exit(child, [&](int wait_status) {
        status = wait_status;
        loop->stop();
    }));
    REQUIRE(loop->run());
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 7);
    CHECK(waitpid(child, nullptr, WNOHANG) == -1); // already reaped
    CHECK_FALSE(loop->on_child_exit(child, [](int) {}));
}

TEST_CASE("an event loop error names what failed and why")
{
    const auto loop  = make_loop();
    const auto added = loop->add(9999, EPOLLIN, [](std::uint32_t) {});
    REQUIRE_FALSE(added);
    CHECK(added.error().code == Errc::bad_descriptor);
    CHECK(added.error().message == "watch descriptor 9999: Bad file descriptor");
}
