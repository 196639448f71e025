// SPDX-License-Identifier: Apache-2.0
//
// The books of CPU pools, and what the policies make of them.
#include "sched/cpu_pools.hpp"
#include "simulator.hpp"

#include <catch2/catch.hpp>

using namespace vmm;

namespace
{

constexpr Cpu_set kOnline(0xff);
constexpr u32 kAny = Cpu_pools::kAny;

template <class T>
Errc error_of(const Expected<T>& result)
{
    REQUIRE_FALSE(result);
    return result.error();
}

} // namespace

TEST_CASE("pools: a CPU is in one pool or free")
{
    Cpu_pools pools;
    CHECK(pools.find(0)->cpus == Cpu_set::all());
    CHECK_FALSE(pools.free(kOnline).any());
    CHECK(*pools.create(kAny, Sched_kind::unshared) == 1);
    CHECK(*pools.create(5, Sched_kind::fair) == 5);
    CHECK(error_of(pools.create(5, Sched_kind::fair)) == Errc::eexist);
    CHECK(error_of(pools.create(Cpu_pools::kMost, Sched_kind::fair)) == Errc::einval);
    CHECK(pools.next(0) == 0);
    CHECK(pools.next(1) == 1);
    CHECK(pools.next(2) == 5);
    CHECK(pools.next(6) == Cpu_pools::kMost);
    CHECK(pools.next(kAny) == Cpu_pools::kMost);
    CHECK(pools.find(1)->kind == Sched_kind::unshared);
    CHECK(pools.find(2) == nullptr);

    CHECK(error_of(pools.add(1, 3, kOnline)) == Errc::enodev); // it is in pool 0
    CHECK(error_of(pools.add(1, kAny, kOnline)) == Errc::enodev);
    CHECK(*pools.take(0, 3, 2, kOnline) == 3);
    CHECK(pools.free(kOnline) == Cpu_set::only(3));
    CHECK(*pools.which_to_add(1, kAny, kOnline) == 3);
    CHECK(pools.free(kOnline) == Cpu_set::only(3)); // it was a question
    CHECK(error_of(pools.take(0, 3, 2, kOnline)) == Errc::enodev);
    CHECK(*pools.take(0, kAny, 2, kOnline) == 7);
    CHECK(*pools.add(1, 7, kOnline) == 7);
    CHECK(*pools.add(5, kAny, kOnline) == 3);
    CHECK_FALSE(pools.free(kOnline).any());
    CHECK(pools.find(1)->cpus == Cpu_set::only(7));
    CHECK_FALSE(pools.find(0)->cpus.has(7));
    for (const u32 bad : {8u, 255u, 256u, 100'000u}) { // not online, or none at all
        CHECK(error_of(pools.add(1, bad, kOnline)) == Errc::einval);
        CHECK(error_of(pools.take(0, bad, 0, kOnline)) == Errc::einval);
    }
    CHECK(error_of(pools.add(2, 1, kOnline)) == Errc::enoent);
    CHECK(error_of(pools.take(64, 1, 0, kOnline)) == Errc::enoent);
}

TEST_CASE("pools: domains keep their pool and its last CPU")
{
    Cpu_pools pools;
    REQUIRE(pools.create(1, Sched_kind::fair));
    REQUIRE(pools.take(0, 6, 1, kOnline));
    REQUIRE(pools.add(1, 6, kOnline));
    CHECK(error_of(pools.take(1, 6, 1, kOnline)) == Errc::ebusy);
    CHECK(error_of(pools.destroy(1, 0, kOnline)) == Errc::ebusy);
    CHECK(*pools.take(1, kAny, 0, kOnline) == 6);
    CHECK(error_of(pools.take(1, kAny, 0, kOnline)) == Errc::enodev);
    CHECK(error_of(pools.destroy(1, 1, kOnline)) == Errc::ebusy);
    CHECK(pools.destroy(1, 0, kOnline));
    CHECK(error_of(pools.destroy(1, 0, kOnline)) == Errc::enoent);
    CHECK(error_of(pools.destroy(0, 0, kOnline)) == Errc::ebusy);
    for (u32 cpu = 0; cpu < 8; ++cpu) {
        if (cpu != 6 && cpu != 2)
            REQUIRE(pools.take(0, cpu, 1, kOnline));
    }
    CHECK(error_of(pools.take(0, kAny, 1, kOnline)) == Errc::ebusy); // CPUs that are not online do not count
    CHECK(pools.find(0)->cpus.has(9));

    u32 made = 1; // pool 0
    while (pools.create(kAny, Sched_kind::fair))
        ++made;
    CHECK(made == Cpu_pools::kMost);
    CHECK(error_of(pools.create(kAny, Sched_kind::fair)) == Errc::enospc);
}

TEST_CASE("pools: nobody runs outside its pool, whatever moves, and each pool shares by weight")
{
    const auto policy = GENERATE(fair, unshared);
    Simulator sim({.cpus = 8}, policy());
    const Cpu_set left(0x0f), right(0xf0);
    auto& one = sim.group();
    auto& two = sim.group();
    one.cpus.store(left);
    two.cpus.store(right);
    for (int i = 0; i < 4; ++i) {
        sim.task(one);
        sim.task(two);
    }
    sim.run_for(100 * kMs); // the simulator fails a task that runs outside its pool
    for (const auto& t : sim.tasks())
        CHECK(t.ran == 100 * kMs);

    // CPUs 3 and 4 change sides; as the toolstack has it, a pool loses a CPU before another one gets it.
    const auto give = [&](Sched_group& group, Cpu_set cpus) {
        group.cpus.store(cpus);
        for (auto& t : sim.tasks()) {
            if (&t.entity.group == &group)
                sim.change(t);
        }
    };
    give(one, Cpu_set(0x07));
    sim.run_for(kMs);
    CHECK(sim.running(3) == nullptr);
    give(two, Cpu_set(0xf8));
    sim.run_for(kMs);
    sim.reset_counts();
    sim.run_for(1'000 * kMs);
    u64 ran_one = 0, ran_two = 0;
    for (const auto& t : sim.tasks())
        (&t.entity.group == &one ? ran_one : ran_two) += t.ran;
    CHECK(ran_one == 3'000 * kMs);
    CHECK(ran_two == 4'000 * kMs);

    auto& late = sim.group(); // where there is a CPU to spare
    late.cpus.store(Cpu_set(0xf8));
    auto& fresh = sim.task(late);
    sim.run_for(1'000 * kMs);
    CHECK(fresh.ran > 900 * kMs);
}

TEST_CASE("pools: a domain moves between shared CPUs and CPUs of its own, and nobody is lost")
{
    const bool cores = GENERATE(false, true);
    Simulator sim({.cpus = 8, .threads = cores ? 2u : 1u, .shares_cores = !cores},
                  cores ? fair_cores() : fair());
    Policy& shared = sim.policy();
    Policy& own    = sim.add_policy(cores ? unshared_cores() : unshared());
    const Cpu_set left(0x0f), right(0xf0);
    for (u32 cpu = 4; cpu < 8; ++cpu)
        sim.join(cpu, own);
    const auto domain = [&](u32 weight, u32 vcpus) -> Sched_group& {
        auto& group = sim.group(weight);
        group.cpus.store(left);
        Sched_unit* unit = nullptr;
        for (u32 i = 0; i < vcpus; ++i) {
            auto& t = sim.task(group, [&](Simulator::Task& one) {
                if (i % 2 != 0)
                    one.entity.unit = unit;
            });
            unit    = i % 2 == 0 ? &t.unit : unit;
        }
        return group;
    };
    auto& mover    = domain(512, 4);
    auto& stayer   = domain(256, 4);
    auto& late     = domain(256, 2);
    const auto ran = [&](const Sched_group& group) {
        u64 sum = 0;
        for (const auto& t : sim.tasks())
            sum += &t.entity.group == &group ? t.ran : 0;
        return sum;
    };
    const auto second = [&] {
        sim.reset_counts();
        sim.run_for(1'000 * kMs);
    };
    second();
    const u64 before = ran(mover);
    CHECK(before < 2'400 * kMs);
    for (int trip = 0; trip < 3; ++trip) {
        sim.move(mover, own, right);
        second();
        CHECK(ran(mover) == 4'000 * kMs);
        CHECK(ran(stayer) + ran(late) == 4'000 * kMs);
        for (u32 cpu = 4; cpu < 8; ++cpu)
            CHECK_FALSE(sim.has_timer(cpu));

        sim.move(late, own, right); // finds each CPU taken, and waits until they come free
        second();
        CHECK(ran(late) == 0);
        CHECK(ran(stayer) == 4'000 * kMs);
        sim.move(mover, shared, left);
        second();
        CHECK(ran(late) == 2'000 * kMs);
        CHECK(ran(mover) > ran(stayer) * 3 / 2); // its weight it has kept

        sim.move(late, shared, left);
        second();
        CHECK(ran(mover) > before * 9 / 10);
        CHECK(ran(mover) < before * 11 / 10);
        for (u32 cpu = 4; cpu < 8; ++cpu)
            CHECK(sim.running(cpu) == nullptr);
    }
}
