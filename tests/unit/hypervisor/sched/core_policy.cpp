// SPDX-License-Identifier: Apache-2.0
//
// Core scheduling, over the fair policy and over the static one. The simulator watches all the time that no
// core runs tasks of two groups.
#include "simulator.hpp"

#include <catch2/catch.hpp>

using namespace vmm;

namespace
{

Simulator::Shape cores(u32 count)
{
    return {.cpus = 2 * count, .threads = 2, .cores = 4, .shares_cores = false};
}

// Tasks of one group, two to a unit.
std::vector<Simulator::Task*> tasks(Simulator& sim, Sched_group& group, u32 count, u64 burst = 0,
                                    u64 sleep = 0)
{
    std::vector<Simulator::Task*> all;
    for (u32 i = 0; i < count; ++i) {
        all.push_back(&sim.task(group, [&](Simulator::Task& t) {
            t.burst = burst;
            t.sleep = sleep;
            if (i % 2 != 0)
                t.entity.unit = &all.back()->unit;
        }));
    }
    return all;
}

u64 time_of(const std::vector<Simulator::Task*>& all)
{
    u64 sum = 0;
    for (const auto* t : all)
        sum += t->ran;
    return sum;
}

} // namespace

TEST_CASE("cores: groups share them by weight, and both threads are used")
{
    Simulator sim(cores(4), fair_cores());
    std::vector<std::vector<Simulator::Task*>> groups;
    for (u32 i = 0; i < 12; ++i)
        groups.push_back(tasks(sim, sim.group(i % 3 == 0 ? 512 : 256), 4));
    sim.run_for(1'000 * kMs);
    sim.reset_counts();
    sim.run_for(10'000 * kMs);
    u64 all = 0;
    for (u32 i = 0; i < 12; ++i) {
        CHECK(static_cast<double>(time_of(groups[i])) ==
              Approx((i % 3 == 0 ? 2.0 : 1.0) / 16 * 8 * 10'000 * kMs).epsilon(0.02));
        all += time_of(groups[i]);
    }
    CHECK(all > 79'000 * kMs);
}

TEST_CASE("cores: the sibling of one that is alone idles, and its time is its group's")
{
    Simulator sim(cores(1), fair_cores());
    const auto a = tasks(sim, sim.group(), 1);
    const auto b = tasks(sim, sim.group(), 2);
    sim.run_for(2'000 * kMs);
    CHECK(static_cast<double>(time_of(a)) == Approx(1'000 * kMs).epsilon(0.02));
    CHECK(static_cast<double>(time_of(b)) == Approx(2'000 * kMs).epsilon(0.02));
}

TEST_CASE("cores: no timer for one unit, awake or asleep; who wakes runs beside its sibling at once")
{
    Simulator sim(cores(1), fair_cores());
    const auto unit = tasks(sim, sim.group(), 2);
    sim.run_for(10 * kMs);
    CHECK(unit[0]->ran + unit[1]->ran == 20 * kMs);
    CHECK_FALSE(sim.has_timer(0));
    CHECK_FALSE(sim.has_timer(1));
    sim.pause(*unit[1], true);
    sim.run_for(10 * kMs);
    CHECK(unit[0]->ran == 20 * kMs);
    CHECK(unit[1]->ran == 10 * kMs);
    sim.pause(*unit[1], false);
    CHECK(unit[1]->on != Cpu_set::kNone);
    sim.pause(*unit[0], true);
    sim.pause(*unit[1], true);
    CHECK_FALSE(sim.has_timer(0));
    CHECK_FALSE(sim.has_timer(1));
}

TEST_CASE("cores: who sleeps mostly gets a core soon, and nobody starves")
{
    Simulator sim(cores(2), fair_cores());
    for (u32 i = 0; i < 8; ++i)
        tasks(sim, sim.group(), 2);
    auto& io         = sim.group();
    const auto waker = tasks(sim, io, 2, kMs / 10, 10 * kMs);
    sim.run_for(100 * kMs);
    sim.reset_counts();
    sim.run_for(5'000 * kMs);
    for (const auto* t : waker)
        CHECK(t->worst_wait <= kMs);
    for (const auto& t : sim.tasks())
        CHECK(t.longest_gap < 200 * kMs);
}

TEST_CASE("cores: on one thread the vCPUs of a unit take turns")
{
    Simulator sim(cores(1), fair_cores());
    const auto unit = tasks(sim, sim.group(), 2);
    sim.run_for(10 * kMs);
    sim.offline(1);
    sim.reset_counts();
    sim.run_for(1'000 * kMs);
    CHECK(static_cast<double>(unit[0]->ran) == Approx(500 * kMs).epsilon(0.03));
    CHECK(static_cast<double>(unit[1]->ran) == Approx(500 * kMs).epsilon(0.03));
    sim.online(1);
    sim.reset_counts();
    sim.run_for(100 * kMs);
    CHECK(time_of(unit) == 200 * kMs);
    sim.offline(0); // the one whose number the core has
    sim.reset_counts();
    sim.run_for(100 * kMs);
    CHECK(time_of(unit) == 100 * kMs);
}

TEST_CASE("cores: on one thread they take turns, however often the core goes to another unit")
{
    Simulator sim(cores(1), fair_cores());
    const auto one = tasks(sim, sim.group(), 2), other = tasks(sim, sim.group(), 2);
    sim.run_for(10 * kMs);
    sim.offline(1);
    sim.reset_counts();
    sim.run_for(2'000 * kMs);
    for (const auto& unit : {one, other}) {
        for (const auto* task : unit)
            CHECK(static_cast<double>(task->ran) == Approx(500 * kMs).epsilon(0.1));
    }
}

TEST_CASE("cores: a thread that goes leaves alone what its sibling has taken over")
{
    for (const bool sibling_first : {true, false}) {
        Simulator sim(cores(1), fair_cores());
        const auto unit = tasks(sim, sim.group(), 1);
        sim.run_for(kMs);
        const u32 goes  = unit[0]->on;
        const u32 stays = 1 - goes;
        Policy& policy  = sim.policy();
        policy.cpu_offline(goes, Time(sim.now()));
        for (const u32 cpu : sibling_first ? std::array{stays, goes} : std::array{goes, stays})
            CHECK((policy.decide(cpu, Time(sim.now())).next != nullptr) == (cpu == stays));
        CHECK(unit[0]->entity.state == Sched_entity::State::running);
        CHECK(unit[0]->entity.cpu == stays);
    }
}

TEST_CASE("cores: affinities choose the core, and within it the thread")
{
    Simulator sim(cores(2), fair_cores());
    const auto bound = tasks(sim, sim.group(), 2);
    const auto other = tasks(sim, sim.group(), 2);
    bound[0]->entity.hard_affinity.store(Cpu_set::only(3));
    bound[1]->entity.hard_affinity.store(Cpu_set::only(2));
    sim.change(*bound[0]);
    sim.change(*bound[1]);
    sim.run_for(100 * kMs);
    sim.reset_counts();
    sim.run_for(100 * kMs);
    CHECK(bound[0]->on == 3);
    CHECK(bound[1]->on == 2);
    CHECK(time_of(bound) == 200 * kMs);
    CHECK(time_of(other) == 200 * kMs);
}

TEST_CASE("cores: a directed yield brings the other one, of the same unit or of another")
{
    Simulator sim(cores(1), fair_cores());
    const auto all = tasks(sim, sim.group(), 4);
    sim.offline(1);
    sim.run_for(kMs);
    for (u32 from = 0; from < 4; ++from) {
        for (u32 to = 0; to < 4; ++to) {
            if (sim.running(0) != all[to]) {
                sim.yield(0, all[to]);
                if (all[to]->entity.unit == all[from]->entity.unit)
                    CHECK((sim.running(0) == all[to] || sim.running(0)->entity.unit == all[to]->entity.unit));
            }
            sim.run_for(kMs / 10);
        }
    }
}

TEST_CASE("cores: with CPUs that are not shared a unit has a core of its own")
{
    Simulator sim(cores(2), unshared_cores());
    const auto a = tasks(sim, sim.group(), 2);
    const auto b = tasks(sim, sim.group(), 1);
    const auto c = tasks(sim, sim.group(), 2);
    sim.run_for(100 * kMs);
    CHECK(time_of(a) == 200 * kMs);
    CHECK(time_of(b) == 100 * kMs);
    CHECK(time_of(c) == 0);
    CHECK(c[0]->lacks_cpu);
    sim.set_up(*b[0], false);
    sim.run_for(100 * kMs);
    CHECK(time_of(c) == 200 * kMs);
}

TEST_CASE("cores: whatever comes, goes and changes, no core is divided and nobody is forgotten")
{
    const bool shared   = GENERATE(true, false);
    constexpr u32 kCpus = 16, kGroups = 12, kEach = 4;
    Simulator sim(cores(kCpus / 2), shared ? fair_cores() : unshared_cores());
    u32 dice        = 4'711;
    const auto roll = [&](u32 sides) {
        dice = dice * 1'103'515'245 + 12'345;
        return (dice >> 16) % sides;
    };
    for (u32 i = 0; i < kGroups; ++i)
        tasks(sim, sim.group(256, i % 4 == 3 ? 50 : 0), kEach, i % 3 == 1 ? 2 * kMs : 0, 3 * kMs);
    Cpu_set online = Cpu_set(0xffff);
    for (int step = 0; step < 4'000; ++step) {
        auto& task    = sim.tasks()[roll(kGroups * kEach)];
        const u32 cpu = roll(kCpus);
        switch (roll(4)) {
        case 0: sim.pause(task, !task.paused); break;
        case 1:
            task.entity.hard_affinity.store(roll(2) ? Cpu_set::all() : Cpu_set(0xf).with(cpu));
            sim.change(task);
            break;
        case 2:
            if (sim.running(cpu))
                sim.yield(cpu, roll(2) ? &task : nullptr);
            break;
        default:
            if (!online.has(cpu)) {
                sim.online(cpu);
                online = online.with(cpu);
            } else if (online.without(cpu).any()) {
                sim.offline(cpu);
                online = online.without(cpu);
            }
        }
        sim.run_for(kMs / 4);
    }
    for (u32 cpu = 0; cpu < kCpus; ++cpu) {
        if (!online.has(cpu))
            sim.online(cpu);
    }
    for (auto& task : sim.tasks()) {
        task.entity.hard_affinity.store(Cpu_set::all());
        sim.change(task);
        sim.pause(task, false);
    }
    sim.run_for(100 * kMs);
    sim.reset_counts();
    sim.run_for(2'000 * kMs);
    u32 ran = 0;
    for (const auto& task : sim.tasks())
        ran += task.ran > 20 * kMs;
    CHECK(ran == (shared ? kGroups * kEach : kCpus));
    for (auto& task : sim.tasks())
        sim.remove(task);
    for (u32 cpu = 0; cpu < kCpus; ++cpu)
        CHECK(sim.running(cpu) == nullptr);
}
