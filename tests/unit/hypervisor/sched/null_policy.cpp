// SPDX-License-Identifier: Apache-2.0
//
// What static partitioning promises: a CPU of its own for each vCPU, and words for those who get none.
#include "simulator.hpp"

#include <catch2/catch.hpp>

using namespace vmm;

namespace
{

u32 running_count(Simulator& sim, u32 cpus)
{
    u32 count = 0;
    for (u32 cpu = 0; cpu < cpus; ++cpu)
        count += sim.running(cpu) != nullptr;
    return count;
}

} // namespace

TEST_CASE("null: each has a CPU of its own, without timers and without moving")
{
    Simulator sim({.cpus = 4}, unshared());
    for (int i = 0; i < 3; ++i)
        sim.task(sim.group(i == 0 ? 1 : 60'000, i == 1 ? 10 : 0));
    auto& sleeper = sim.task(sim.group(), 50'000, kMs);
    sim.run_for(1'000 * kMs);
    for (const auto& t : sim.tasks()) {
        CHECK(t.moves == 0);
        CHECK_FALSE(t.lacks_cpu);
        if (&t != &sleeper)
            CHECK(t.ran == 1'000 * kMs);
    }
    CHECK(sleeper.worst_wait == 0);
    for (u32 cpu = 0; cpu < 4; ++cpu)
        CHECK_FALSE(sim.has_timer(cpu));
}

TEST_CASE("null: who finds no CPU waits, is named, and gets the first that comes free")
{
    Simulator sim({.cpus = 2}, unshared());
    auto& first  = sim.task(sim.group());
    auto& asleep = sim.task(sim.group(), kMs, 1'000 * kMs);
    sim.run_for(5 * kMs); // the second sleeps, and has its CPU nevertheless
    auto& third  = sim.task(sim.group());
    auto& fourth = sim.task(sim.group());
    sim.run_for(100 * kMs);
    CHECK(third.lacks_cpu);
    CHECK(fourth.lacks_cpu);
    CHECK(third.told == Sched_entity::State::queued);
    CHECK(third.ran + fourth.ran == 0);

    sim.set_up(asleep, false); // as by hotplug: its CPU is free now
    sim.run_for(10 * kMs);
    CHECK(third.ran == 10 * kMs);
    CHECK(fourth.ran == 0);
    sim.remove(first);
    sim.run_for(10 * kMs);
    CHECK(fourth.ran == 10 * kMs);
    sim.set_up(asleep, true); // it comes back too late
    sim.run_for(2'000 * kMs);
    CHECK(asleep.lacks_cpu);
    CHECK(third.ran == 2'020 * kMs);
}

TEST_CASE("null: who is paused keeps its CPU; who waits and is paused does not wait any longer")
{
    Simulator sim({}, unshared());
    auto& owner = sim.task(sim.group());
    sim.run_for(kMs);
    auto& waits = sim.task(sim.group());
    sim.run_for(kMs);
    sim.pause(owner, true);
    sim.run_for(10 * kMs);
    CHECK(waits.ran == 0);
    sim.pause(waits, true);
    CHECK(waits.told == Sched_entity::State::off);
    sim.remove(owner);
    CHECK(sim.running(0) == nullptr);
    sim.pause(waits, false);
    CHECK(sim.running(0) == &waits);
}

TEST_CASE("null: affinities choose the CPU, and move who runs elsewhere")
{
    Simulator sim({.cpus = 4}, unshared());
    auto& soft = sim.task(sim.group(), [](auto& t) { t.entity.soft_affinity.store(Cpu_set::only(3)); });
    sim.run_for(kMs);
    auto& hard = sim.task(sim.group(), [](auto& t) { t.entity.hard_affinity.store(Cpu_set::only(3)); });
    sim.run_for(kMs);
    CHECK(sim.running(3) == &soft);
    CHECK(hard.lacks_cpu);
    soft.entity.hard_affinity.store(Cpu_set(0b0110));
    sim.change(soft);
    sim.run_for(kMs);
    CHECK(sim.running(3) == &hard);
    CHECK((soft.last_cpu == 1 || soft.last_cpu == 2));
    CHECK(running_count(sim, 4) == 2);

    auto& late = sim.task(sim.group(), [](auto& t) { t.entity.hard_affinity.store(Cpu_set::only(3)); });
    sim.run_for(kMs);
    CHECK(late.ran == 0);
    late.entity.hard_affinity.store(Cpu_set::all());
    sim.change(late);
    sim.run_for(kMs);
    CHECK(late.ran == kMs);
}

TEST_CASE("null: a CPU that goes offline gives its vCPU another one, or makes it wait for its return")
{
    Simulator sim({.cpus = 3}, unshared());
    auto& a = sim.task(sim.group());
    auto& b = sim.task(sim.group());
    sim.run_for(kMs);
    sim.offline(a.last_cpu);
    sim.run_for(kMs);
    CHECK(a.ran == 2 * kMs);
    const u32 left = b.last_cpu;
    sim.offline(left);
    sim.run_for(kMs);
    CHECK(b.lacks_cpu);
    CHECK(b.ran == 2 * kMs);
    sim.online(left);
    sim.run_for(kMs);
    CHECK(b.ran == 3 * kMs);
}

TEST_CASE("null: whatever comes, goes and changes, nobody waits while a CPU that it may have is free")
{
    constexpr u32 kCpus = 16;
    Simulator sim({.cpus = kCpus}, unshared());
    u32 dice        = 12'345;
    const auto roll = [&](u32 sides) {
        dice = dice * 1'103'515'245 + 12'345;
        return (dice >> 16) % sides;
    };
    for (int i = 0; i < 24; ++i)
        sim.task(sim.group());
    sim.run_for(kMs);
    Cpu_set online = Cpu_set(0xffff);
    for (int step = 0; step < 4'000; ++step) {
        auto& task    = sim.tasks()[roll(24)];
        const u32 cpu = roll(kCpus);
        switch (roll(3)) {
        case 0: sim.set_up(task, !task.up); break;
        case 1:
            task.entity.hard_affinity.store(roll(3) == 0 ? Cpu_set::all() : Cpu_set(u64{roll(0x10000)}));
            sim.change(task);
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
        for (const auto& t : sim.tasks()) {
            if (!sim.wants_cpu(t.entity) || t.on != Cpu_set::kNone)
                continue;
            const Cpu_set hard = online & t.entity.hard_affinity.load();
            const Cpu_set may  = hard.any() ? hard : online;
            for (u32 c = 0; c < kCpus; ++c) {
                if (may.has(c) && sim.running(c) == nullptr)
                    FAIL("step " << step << ": CPU " << c << " is free");
            }
        }
    }
}
