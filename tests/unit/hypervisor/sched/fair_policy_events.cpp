// SPDX-License-Identifier: Apache-2.0
//
// What the fair policy does when CPUs come and go, affinities change and vCPUs yield, and what a decision
// costs.
#include "sched/fair_policy.hpp"
#include "simulator.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <map>
#include <utility>
#include <vector>

using namespace vmm;

TEST_CASE("shares follow weights across CPUs")
{
    Simulator sim({.cpus = 16, .threads = 2, .cores = 4}, fair());
    double all = 0;
    for (u32 i = 0; i < 160; ++i) {
        const u32 weight = i % 4 == 0 ? 512 : 256;
        sim.task(sim.group(weight));
        all += weight;
    }
    sim.run_for(1'000 * kMs);
    sim.reset_counts();
    sim.run_for(10'000 * kMs);
    for (const auto& t : sim.tasks())
        CHECK(static_cast<double>(t.ran) ==
              Approx(t.entity.group.weight / all * 16 * 10'000 * kMs).epsilon(0.02));
}

TEST_CASE("nobody starves")
{
    Simulator sim({.cpus = 4, .threads = 2, .cores = 1}, fair());
    for (u32 i = 0; i < 60; ++i)
        sim.task(sim.group(), i % 2 ? 3 * kMs : 0, 5 * kMs);
    sim.task(sim.group(8));
    sim.run_for(5'000 * kMs);
    for (const auto& t : sim.tasks())
        CHECK(t.longest_gap < 2'000 * kMs);
}

TEST_CASE("nobody pays for time in which the machine was not there")
{
    const u32 cap = GENERATE(0u, 30u);
    Simulator sim({}, fair());
    auto& slight = sim.task(sim.group(64, cap));
    for (int i = 0; i < 3; ++i)
        sim.task(sim.group());
    sim.run_for(1'000 * kMs);
    while (sim.running(0) != &slight)
        sim.run_for(kMs / 4);
    sim.stand_still(1'000 * kMs);
    sim.reset_counts();
    sim.run_for(2'000 * kMs);
    for (const auto& t : sim.tasks())
        CHECK(t.longest_gap < 200 * kMs);
}

TEST_CASE("no timer where one vCPU has a CPU to itself, nor on an idle CPU")
{
    Simulator sim({.cpus = 4}, fair());
    for (int i = 0; i < 3; ++i)
        sim.task(sim.group());
    sim.run_for(10 * kMs);
    sim.reset_counts();
    sim.run_for(1'000 * kMs);
    CHECK(sim.decisions() == 0);
    for (u32 cpu = 0; cpu < 4; ++cpu)
        CHECK_FALSE(sim.has_timer(cpu));
}

TEST_CASE("idle cores are used before the second threads of busy ones")
{
    Simulator sim({.cpus = 8, .threads = 2, .cores = 4}, fair());
    for (int i = 0; i < 4; ++i)
        sim.task(sim.group());
    sim.run_for(kMs);
    for (u32 core = 0; core < 4; ++core)
        CHECK((sim.running(2 * core) == nullptr) != (sim.running(2 * core + 1) == nullptr));
}

TEST_CASE("who wakes on an idle CPU is left to it; a second one there is not")
{
    Simulator sim({.cpus = 2}, fair());
    sim.run_for(kMs);
    auto& first  = sim.task(sim.group(), [](auto&) {});
    auto& second = sim.task(sim.group(), [](auto&) {});
    const Time now(sim.now());
    const auto wake = [&](auto& task) {
        task.wants = true;
        sim.policy().update(task.entity, now);
    };
    wake(first);
    const u32 home = first.entity.cpu;
    CHECK(sim.policy().decide(1 - home, now).next == nullptr);

    second.entity.hard_affinity.store(Cpu_set::only(home));
    wake(second);
    second.entity.hard_affinity.store(Cpu_set::all());
    CHECK(sim.policy().decide(1 - home, now).next != nullptr);
    CHECK(sim.policy().decide(home, now).next != nullptr);
}

TEST_CASE("hard affinity is obeyed, also when it changes while the vCPU runs; soft affinity is followed")
{
    Simulator sim({.cpus = 4}, fair());
    auto& pinned  = sim.task(sim.group(), [](auto& t) { t.entity.hard_affinity.store(Cpu_set::only(2)); });
    auto& prefers = sim.task(sim.group(), [](auto& t) { t.entity.soft_affinity.store(Cpu_set::only(3)); });
    sim.run_for(kMs);
    CHECK(sim.running(2) == &pinned);
    CHECK(sim.running(3) == &prefers);
    for (int i = 0; i < 8; ++i)
        sim.task(sim.group());
    sim.run_for(100 * kMs);
    pinned.entity.hard_affinity.store(Cpu_set::only(1));
    sim.change(pinned);
    sim.reset_counts();
    sim.run_for(1'000 * kMs);
    CHECK(pinned.last_cpu == 1);
    CHECK(pinned.moves <= 1);
    CHECK(pinned.ran > 300 * kMs);
}

TEST_CASE("a CPU that goes offline loses nobody, and gets work when it comes back")
{
    Simulator sim({.cpus = 4}, fair());
    for (int i = 0; i < 12; ++i)
        sim.task(sim.group());
    sim.task(sim.group(), [](auto& t) { t.entity.hard_affinity.store(Cpu_set::only(0)); });
    sim.task(sim.group(256, 20));
    sim.run_for(100 * kMs);
    sim.offline(0);
    sim.offline(1);
    sim.reset_counts();
    sim.run_for(2'000 * kMs);
    for (const auto& t : sim.tasks())
        CHECK(t.ran > 100 * kMs);
    sim.online(0);
    sim.reset_counts();
    sim.run_for(1'000 * kMs);
    u64 all = 0;
    for (const auto& t : sim.tasks())
        all += t.ran;
    CHECK(all >= 2'990 * kMs);
}

TEST_CASE("who is bound to a CPU that was offline is back as soon as that is")
{
    Simulator sim({.cpus = 2}, fair());
    auto& bound = sim.task(sim.group(), [](auto& t) { t.entity.hard_affinity.store(Cpu_set::only(1)); });
    sim.run_for(kMs);
    CHECK(bound.on == 1);
    sim.offline(1);
    sim.run_for(kMs);
    CHECK(bound.on == 0);
    sim.online(1);
    sim.run_for(kMs);
    CHECK(bound.on == 1);
    CHECK(bound.ran == 3 * kMs);
}

TEST_CASE("who is paused does not run, and goes on where the others are")
{
    Simulator sim({.cpus = 2}, fair());
    for (int i = 0; i < 4; ++i)
        sim.task(sim.group());
    sim.run_for(100 * kMs);
    auto& task = sim.tasks().front();
    sim.pause(task, true);
    const u64 before = task.ran;
    sim.run_for(1'000 * kMs);
    CHECK(task.ran == before);
    sim.pause(task, false);
    sim.run_for(200 * kMs);
    CHECK(task.ran - before >= 80 * kMs);
    CHECK(task.ran - before <= 120 * kMs);
    sim.remove(task);
    sim.run_for(100 * kMs);
}

TEST_CASE("a yield lets another go first, and does nothing where there is none")
{
    Simulator sim({}, fair());
    sim.task(sim.group());
    sim.run_for(kMs);
    sim.reset_counts();
    sim.yield(0);
    CHECK(sim.decisions() == 0);
    sim.task(sim.group());
    sim.run_for(kMs);
    auto* const first = sim.running(0);
    sim.yield(0);
    CHECK(sim.running(0) != first);
}

TEST_CASE("directed yields between two are not at the cost of a third")
{
    Simulator sim({.cpus = 1}, fair());
    auto& waits  = sim.task(sim.group());
    auto& target = sim.task(sim.group());
    auto& third  = sim.task(sim.group());
    sim.run_for(kMs);
    for (int i = 0; i < 3'000; ++i) {
        if (sim.running(0) == &waits) {
            sim.yield(0, &target);
            CHECK(sim.running(0) != &waits);
        }
        sim.run_for(kMs);
    }
    CHECK(static_cast<double>(third.ran) >= 3'000.0 * kMs / 3 * 0.98);
    CHECK(target.ran > waits.ran);
}

TEST_CASE("one that has a CPU to itself cannot buy its sibling another one's time")
{
    Simulator sim({.cpus = 2}, fair());
    auto& group      = sim.group();
    const auto bound = [&](Sched_group& of, u32 cpu) -> Simulator::Task& {
        return sim.task(of, [&](auto& task) { task.entity.hard_affinity.store(Cpu_set::only(cpu)); });
    };
    bound(group, 0);
    auto& sibling = bound(group, 1);
    auto& third   = bound(sim.group(), 1);
    sim.run_for(kMs);
    sim.reset_counts();
    for (int i = 0; i < 10'000; ++i) {
        if (sim.running(1) != &sibling)
            sim.yield(0, &sibling);
        sim.run_for(kMs / 10);
    }
    CHECK(static_cast<double>(third.ran) >= 1'000.0 * kMs / 2 * 0.96);
}

// By the clock of the machine that runs the test, so the bound only tells a logarithm from a line.
TEST_CASE("a decision costs O(log n)")
{
    std::map<u32, double> cost;
    for (const u32 n : {10u, 100u, 1'000u, 10'000u}) {
        Simulator sim({}, fair());
        for (u32 i = 0; i < n; ++i)
            sim.task(sim.group());
        sim.run_for(1);
        constexpr u32 decisions = 20'000;
        u64 now                 = sim.now();
        double best             = 1e9;
        for (int round = 0; round < 5; ++round) {
            const auto begin = std::chrono::steady_clock::now();
            for (u32 i = 0; i < decisions; ++i)
                static_cast<void>(sim.policy().decide(0, Time(now += kMs)));
            const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
            best                                                = std::min(best, took.count() / decisions);
        }
        cost[n] = best;
        WARN(n << " vCPUs: " << best << " ns a decision, under sanitizers");
    }
    CHECK(cost[10'000] < 100 * cost[10]);
}

namespace
{

// Asked about its only entity, it lets it come to the policy first, and answers what was so before.
class Host_of_one final : public Sched_host
{
  public:
    explicit Host_of_one(Sched_entity& entity) : entity_(entity) {}

    void arrive()
    {
        if (std::exchange(there_, true))
            return;
        entity_.hard_affinity.store(Cpu_set::only(1));
        policy->add(entity_);
        policy->update(entity_, Time(1));
    }
    bool wants_cpu(const Sched_entity&) override
    {
        const bool was_there = there_;
        arrive();
        return was_there;
    }
    bool is_up(const Sched_entity&) override { return true; }
    void no_cpu_for(const Sched_entity&) override {}
    void state_changed(Sched_entity&, Time) override {}
    void kick(u32, Look) override {}

    Policy* policy = nullptr;

  private:
    Sched_entity& entity_;
    bool there_ = false;
};

} // namespace

TEST_CASE("fair: an update that is so late that its entity comes meanwhile leaves it where it is")
{
    Sched_group group;
    Sched_entity entity(group, nullptr);
    Host_of_one host(entity);
    std::vector<Cpu_queue> queues(2);
    Fair_policy policy(host, queues);
    host.policy = &policy;
    for (u32 cpu : {0u, 1u})
        policy.cpu_online(cpu, {Cpu_set::only(cpu), Cpu_set::all()}, Time(0));
    policy.update(entity, Time(0)); // finds where it was before: at CPU 0
    host.arrive();
    CHECK(entity.state == Sched_entity::State::queued);
    CHECK(policy.decide(0, Time(2)).next == nullptr);
    CHECK(policy.decide(1, Time(2)).next == &entity);
}
