// SPDX-License-Identifier: Apache-2.0
#include "sched/timer.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <memory>
#include <random>
#include <vector>

namespace vmm
{
namespace
{
Timer_queue queue;
unsigned deadline_changes = 0;
} // namespace

Timer_queue& this_cpu_timers() { return queue; }
void timer_deadline_changed(Time) { ++deadline_changes; }
} // namespace vmm

using namespace vmm;

namespace
{

struct Alarm {
    std::vector<int>& fired;
    int number;
    Timer timer{ring, this};

    Alarm(std::vector<int>& f, int n) : fired(f), number(n) {}
    static void ring(void* context)
    {
        auto& a = *static_cast<Alarm*>(context);
        a.fired.push_back(a.number);
    }
};

} // namespace

TEST_CASE("timers fire in the order of their times, once")
{
    std::vector<int> fired;
    Alarm a(fired, 1), b(fired, 2), c(fired, 3);
    b.timer.start(Time(200));
    a.timer.start(Time(100));
    c.timer.start(Time(300));
    CHECK(queue.next() == Time(100));
    queue.run(Time(50));
    CHECK(fired.empty());
    queue.run(Time(200));
    CHECK(fired == std::vector<int>{1, 2});
    CHECK_FALSE(a.timer.armed());
    CHECK(c.timer.armed());
    queue.run(Time(1000));
    CHECK(fired == std::vector<int>{1, 2, 3});
    CHECK_FALSE(queue.next());
}

TEST_CASE("only an earlier deadline is told to the hardware")
{
    std::vector<int> fired;
    Alarm a(fired, 1), b(fired, 2);
    deadline_changes = 0;
    a.timer.start(Time(100));
    CHECK(deadline_changes == 1);
    b.timer.start(Time(200));
    CHECK(deadline_changes == 1);
    b.timer.start(Time(50));
    CHECK(deadline_changes == 2);
    b.timer.stop();
    CHECK(deadline_changes == 2);
    CHECK(queue.next() == Time(100));
}

TEST_CASE("a timer can be stopped, started again, and destroyed while armed")
{
    std::vector<int> fired;
    Alarm a(fired, 1);
    a.timer.start(Time(10));
    a.timer.start(Time(30));
    queue.run(Time(20));
    CHECK(fired.empty());
    a.timer.stop();
    a.timer.stop();
    queue.run(Time(100));
    CHECK(fired.empty());
    {
        Alarm b(fired, 2);
        b.timer.start(Time(5));
    }
    CHECK_FALSE(queue.next());
}

TEST_CASE("a timer for the end of time does not fire before others")
{
    std::vector<int> fired;
    const u64 never = GENERATE(~0ull, ~0ull - 1, 1ull << 63, (1ull << 63) + 100, ~0ull >> 1);
    Alarm a(fired, 1), b(fired, 2);
    const bool first = GENERATE(true, false);
    if (first)
        a.timer.start(Time(never));
    b.timer.start(Time(100));
    if (!first)
        a.timer.start(Time(never));
    CHECK(queue.next() == Time(100));
    queue.run(Time(200));
    CHECK(fired == std::vector<int>{2});
    CHECK(a.timer.armed());
    CHECK(a.timer.when() == Time(never));
    CHECK(queue.next() == Time(never));
}

TEST_CASE("timers of one time: the hardware is told of the first")
{
    std::vector<int> fired;
    Alarm a(fired, 1), b(fired, 2);
    deadline_changes = 0;
    a.timer.start(Time(100));
    b.timer.start(Time(100));
    CHECK(deadline_changes == 1);
    queue.run(Time(100));
    CHECK(fired == std::vector<int>{1, 2});
}

TEST_CASE("a timer that re-arms itself in the past does not keep the CPU")
{
    struct Loop {
        unsigned count = 0;
        Timer timer{again, this};
        static void again(void* context)
        {
            auto& l = *static_cast<Loop*>(context);
            ++l.count;
            l.timer.start(Time(1));
        }
    } loop;
    loop.timer.start(Time(1));
    queue.run(Time(100));
    CHECK(loop.count > 1);
    CHECK(loop.count <= 1000);
    CHECK(loop.timer.armed());
}

TEST_CASE("a timer's function may stop and start others")
{
    std::vector<int> fired;
    Alarm victim(fired, 1), late(fired, 2);
    struct Meddler {
        Alarm& victim;
        Alarm& late;
        Timer timer{meddle, this};
        static void meddle(void* context)
        {
            auto& m = *static_cast<Meddler*>(context);
            m.victim.timer.stop();
            m.late.timer.start(Time(20));
        }
    } meddler{victim, late};
    meddler.timer.start(Time(10));
    victim.timer.start(Time(15));
    queue.run(Time(30));
    CHECK(fired == std::vector<int>{2});
}

TEST_CASE("the queue agrees with a sorted list under random use")
{
    std::mt19937 random(42);
    std::vector<int> fired;
    std::vector<std::unique_ptr<Alarm>> alarms;
    for (int i = 0; i < 100; ++i)
        alarms.push_back(std::make_unique<Alarm>(fired, i));
    std::map<int, u64> model; // armed, and for when
    u64 now = 0;
    for (int step = 0; step < 20000; ++step) {
        const int i = static_cast<int>(random() % alarms.size());
        switch (random() % 4) {
        case 0:
        case 1:
            model[i] = now + random() % 1000;
            alarms[static_cast<std::size_t>(i)]->timer.start(Time(model[i]));
            break;
        case 2:
            model.erase(i);
            alarms[static_cast<std::size_t>(i)]->timer.stop();
            break;
        default: {
            now += random() % 30;
            fired.clear();
            queue.run(Time(now));
            u64 last = 0;
            for (int f : fired) {
                REQUIRE(model.count(f) == 1);
                REQUIRE(model[f] <= now);
                REQUIRE(model[f] >= last);
                last = model[f];
                model.erase(f);
            }
            for (const auto& [who, when] : model)
                REQUIRE(when > now);
        }
        }
        u64 earliest = ~0ull;
        for (const auto& [who, when] : model)
            earliest = std::min(earliest, when);
        REQUIRE(queue.next().has_value() == !model.empty());
        if (!model.empty())
            REQUIRE(queue.next() == Time(earliest));
    }
}
