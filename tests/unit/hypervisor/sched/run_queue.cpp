// SPDX-License-Identifier: Apache-2.0
//
// The scheduling policy, driven by a simulator of one CPU: entities that want the CPU all the time or in
// bursts, and a clock that only moves when somebody runs or everybody sleeps.
#include "sched/run_queue.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <vector>

using namespace vmm;

namespace
{

constexpr u64 kMs = 1'000'000;

class Simulator
{
  public:
    struct Task {
        Sched_entity entity;
        u64 ran        = 0;
        u64 burst      = 0; // runs this long, then sleeps; 0: never sleeps
        u64 sleep      = 0;
        u64 left       = 0; // of the burst
        u64 wakes_at   = 0;
        u64 worst_wait = 0; // from waking to running
    };

    explicit Simulator(std::vector<Task>& tasks) : tasks_(tasks)
    {
        for (auto& t : tasks_) {
            t.entity.owner = &t;
            t.left         = t.burst;
            queue_.wake(t.entity);
        }
    }

    void run_until(u64 end)
    {
        while (now_ < end) {
            wake_sleepers();
            Sched_entity* next = queue_.take_next();
            if (!next) {
                now_ = next_wake(end);
                continue;
            }
            run(*static_cast<Task*>(next->owner), end);
        }
    }

  private:
    void run(Task& task, u64 end)
    {
        task.worst_wait = std::max(task.worst_wait, now_ - std::min(task.wakes_at, now_));
        Run_queue::start(task.entity, Time(now_));
        const u64 slice_end = queue_.empty() ? end : now_ + Run_queue::kSlice;
        for (;;) {
            u64 until = std::min(slice_end, next_wake(end));
            if (task.burst)
                until = std::min(until, now_ + task.left);
            task.ran += until - now_;
            task.left -= task.burst ? until - now_ : 0;
            now_ = until;
            queue_.charge(task.entity, Time(now_));
            if (task.burst && task.left == 0) {
                task.left     = task.burst;
                task.wakes_at = now_ + task.sleep;
                sleepers_.push_back(&task);
                return;
            }
            wake_sleepers();
            if (now_ >= slice_end || now_ >= end || queue_.preempts(task.entity)) {
                task.wakes_at = now_;
                queue_.put_back(task.entity);
                return;
            }
        }
    }

    void wake_sleepers()
    {
        std::erase_if(sleepers_, [&](Task* t) {
            if (t->wakes_at > now_)
                return false;
            queue_.wake(t->entity);
            return true;
        });
    }

    [[nodiscard]] u64 next_wake(u64 end) const
    {
        u64 first = end;
        for (const Task* t : sleepers_)
            first = std::min(first, std::max(t->wakes_at, now_ + 1));
        return first;
    }

    Run_queue queue_;
    std::vector<Task>& tasks_;
    std::vector<Task*> sleepers_;
    u64 now_ = 0;
};

double share(const std::vector<Simulator::Task>& tasks, std::size_t i)
{
    u64 all = 0;
    for (const auto& t : tasks)
        all += t.ran;
    return static_cast<double>(tasks[i].ran) / static_cast<double>(all);
}

} // namespace

TEST_CASE("equal weights get equal shares")
{
    std::vector<Simulator::Task> tasks(5);
    Simulator(tasks).run_until(10'000 * kMs);
    for (std::size_t i = 0; i < tasks.size(); ++i)
        CHECK(share(tasks, i) == Approx(0.2).margin(0.004));
}

TEST_CASE("shares follow weights")
{
    std::vector<Simulator::Task> tasks(3);
    tasks[0].entity.weight = 512;
    tasks[1].entity.weight = 256;
    tasks[2].entity.weight = 64;
    Simulator(tasks).run_until(10'000 * kMs);
    CHECK(share(tasks, 0) == Approx(512.0 / 832).margin(0.02));
    CHECK(share(tasks, 1) == Approx(256.0 / 832).margin(0.02));
    CHECK(share(tasks, 2) == Approx(64.0 / 832).margin(0.02));
}

TEST_CASE("who sleeps mostly gets the CPU soon after it wakes")
{
    std::vector<Simulator::Task> tasks(4);
    tasks[3].burst = kMs / 10;
    tasks[3].sleep = 7 * kMs;
    Simulator sim(tasks);
    sim.run_until(100 * kMs); // at the start everybody is equal
    tasks[3].worst_wait = 0;
    sim.run_until(5'000 * kMs);
    CHECK(tasks[3].worst_wait <= kMs);
    CHECK(tasks[3].ran > 60 * kMs); // 5,000 ms in periods of about 7.1 ms
}

TEST_CASE("a long sleep is not saved up")
{
    std::vector<Simulator::Task> tasks(2);
    tasks[1].burst = 1'000 * kMs;
    tasks[1].sleep = 3'000 * kMs;
    Simulator sim(tasks);
    sim.run_until(5'100 * kMs); // the second has slept from about 2,000 to 5,000
    const u64 before = tasks[0].ran;
    sim.run_until(5'300 * kMs);
    CHECK(tasks[0].ran - before >= 90 * kMs);
}

TEST_CASE("a yield lets everybody else go first")
{
    Run_queue queue;
    Sched_entity a, b, c;
    for (auto* e : {&a, &b, &c})
        queue.wake(*e);
    CHECK(queue.take_next() == &a);
    Run_queue::start(a, Time(0));
    queue.charge(a, Time(1'000));
    queue.step_back(a);
    queue.put_back(a);
    CHECK(queue.take_next() == &b);
    CHECK(queue.take_next() == &c);
    CHECK(queue.take_next() == &a);
    CHECK(queue.take_next() == nullptr);
}

TEST_CASE("an entity can be removed from any place")
{
    Run_queue queue;
    Sched_entity e[3];
    for (unsigned remove = 0; remove < 3; ++remove) {
        for (auto& one : e)
            queue.wake(one);
        queue.remove(e[remove]);
        queue.remove(e[remove]);
        for (unsigned i = 0; i < 3; ++i) {
            if (i != remove)
                CHECK(queue.take_next() == &e[i]);
        }
        CHECK(queue.empty());
    }
}
