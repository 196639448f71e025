// SPDX-License-Identifier: Apache-2.0
//
// Timers of several CPUs at once, under ThreadSanitizer: armed here and there, stopped while they fire.
#include "sched/timer.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <thread>
#include <vector>

namespace vmm
{
namespace
{
constexpr unsigned kThreads = 3;
Per_cpu<Timer_queue> queues;
} // namespace

Timer_queue& this_cpu_timers() { return queues.here(); }
void timer_deadline_changed(Time) {}
} // namespace vmm

using namespace vmm;

namespace
{

// Whoever stopped it may free it, and has the plain memory that its function reads for itself.
struct Alarm {
    std::atomic<unsigned> rung{0};
    unsigned step = 1;
    std::atomic<bool> again{false};
    Timer timer{ring, this};

    static void ring(void* context)
    {
        auto& a = *static_cast<Alarm*>(context);
        a.rung += a.step;
        if (a.again)
            a.timer.start(Time(1));
    }
};

} // namespace

TEST_CASE("a timer that was stopped does not fire, wherever it was")
{
    std::atomic<bool> stop{false};
    std::vector<std::thread> cpus;
    for (u32 cpu = 1; cpu < kThreads; ++cpu) {
        cpus.emplace_back([&, cpu] {
            hosted_cpu = cpu;
            while (!stop)
                this_cpu_timers().run(Time(2));
        });
    }
    // Its owner arms it on one CPU after another, as a vCPU that moves does.
    hosted_cpu     = 0;
    unsigned total = 0;
    for (unsigned round = 0; round < 3000; ++round) {
        auto alarm   = std::make_unique<Alarm>();
        alarm->again = round % 3 == 0;
        std::thread arms([&] {
            hosted_cpu = 1 + round % (kThreads - 1);
            alarm->timer.start(Time(1));
        });
        alarm->timer.start(Time(1));
        this_cpu_timers().run(Time(2));
        arms.join();
        alarm->timer.stop(); // also where the function arms it again all the time
        CHECK_FALSE(alarm->timer.armed());
        total += alarm->rung;
        alarm->step = 0;
    }
    stop = true;
    for (auto& cpu : cpus)
        cpu.join();
    CHECK(total >= 1000);
}
