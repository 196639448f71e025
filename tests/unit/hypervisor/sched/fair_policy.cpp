// SPDX-License-Identifier: Apache-2.0
//
// What the fair policy promises on one CPU and on many, in virtual time.
#include "sched/fair_policy.hpp"
#include "simulator.hpp"

#include <catch2/catch.hpp>

using namespace vmm;

namespace
{

// Of the time of `cpus` CPUs since the counts were reset, in parts.
double share(const Simulator::Task& task, double of_ns) { return static_cast<double>(task.ran) / of_ns; }

} // namespace

TEST_CASE("equal weights get equal shares")
{
    Simulator sim({}, fair());
    for (int i = 0; i < 5; ++i)
        sim.task(sim.group());
    sim.run_for(10'000 * kMs);
    for (const auto& t : sim.tasks())
        CHECK(share(t, 10'000 * kMs) == Approx(0.2).epsilon(0.02));
}

TEST_CASE("shares follow weights")
{
    Simulator sim({}, fair());
    const u32 weights[] = {512, 256, 64, 1'000, 40};
    double all          = 0;
    for (const u32 w : weights) {
        sim.task(sim.group(w));
        all += w;
    }
    sim.run_for(10'000 * kMs);
    for (const auto& t : sim.tasks())
        CHECK(share(t, 10'000 * kMs) == Approx(t.entity.group.weight / all).epsilon(0.02));
}

TEST_CASE("caps hold, alone and under load")
{
    const u32 others = GENERATE(0u, 8u);
    Simulator sim({.cpus = 4}, fair());
    const u32 caps[] = {1, 5, 25, 50, 120, 150};
    for (const u32 cap : caps) {
        auto& group = sim.group(4'096, cap);
        for (u32 i = 0; i < cap / 100 + 2; ++i)
            sim.task(group);
    }
    for (u32 i = 0; i < others; ++i)
        sim.task(sim.group(16));
    sim.run_for(10'000 * kMs);
    std::size_t task = 0;
    for (const u32 cap : caps) {
        double ran = 0;
        for (u32 i = 0; i < cap / 100 + 2; ++i)
            ran += static_cast<double>(sim.tasks()[task++].ran);
        INFO("cap " << cap);
        CHECK(ran / (10'000 * kMs) == Approx(cap / 100.0).epsilon(0.02));
    }
}

TEST_CASE("a cap is for what is run from then on: no debt of the time before it, none once it is lifted")
{
    Simulator sim({.cpus = 2}, fair());
    auto& group       = sim.group();
    const auto capped = [&](u32 percent) {
        group.cap.set_percent(percent);
        double ran = 0;
        for (auto& t : sim.tasks())
            sim.change(t);
        sim.reset_counts();
        sim.run_for(1'000 * kMs);
        for (auto& t : sim.tasks())
            ran += share(t, 1'000 * kMs);
        return ran;
    };
    for (u32 i = 0; i < 2; ++i)
        sim.task(group);
    sim.run_for(60'000 * kMs);
    CHECK(capped(20) == Approx(0.2).epsilon(0.1));
    CHECK(capped(0) == Approx(2.0).epsilon(0.01));
    CHECK(capped(50) == Approx(0.5).epsilon(0.1));
}

TEST_CASE("who sleeps mostly gets the CPU within a millisecond")
{
    Simulator sim({.cpus = 8}, fair());
    for (int i = 0; i < 80; ++i)
        sim.task(sim.group(i % 3 ? 256 : 512));
    for (u64 i = 0; i < 16; ++i)
        sim.task(sim.group(), 50'000, 7 * kMs + i * 10'007);
    sim.run_for(200 * kMs); // at the start everybody is equal
    sim.reset_counts();
    sim.run_for(5'000 * kMs);
    for (const auto& t : sim.tasks()) {
        if (t.burst)
            CHECK(t.worst_wait <= kMs);
    }
}

TEST_CASE("who has just begun is not interrupted by who wakes, and not for long afterwards")
{
    Simulator sim({}, fair());
    auto& spins = sim.task(sim.group());
    auto& io    = sim.task(sim.group(), 20'000, 60'000); // as a backend does, request by request
    sim.run_for(200 * kMs);
    sim.reset_counts();
    sim.run_for(1'000 * kMs);
    // A turn of each for every 270 us: not twice that often, and not seldom.
    const u64 rounds = 1'000 * kMs / (Fair_policy::kShortTurn + io.burst);
    CHECK(sim.decisions() <= 2 * rounds + 10);
    CHECK(sim.decisions() >= 2 * rounds * 9 / 10);
    CHECK(io.worst_wait <= Fair_policy::kShortTurn);
    CHECK(spins.ran + io.ran == 1'000 * kMs);
}

TEST_CASE("a long sleep is not saved up")
{
    Simulator sim({}, fair());
    auto& spins = sim.task(sim.group());
    sim.task(sim.group(), 1'000 * kMs, 3'000 * kMs);
    sim.run_for(5'100 * kMs); // the second has slept from about 2,000 to 5,000
    const u64 before = spins.ran;
    sim.run_for(200 * kMs);
    CHECK(spins.ran - before >= 90 * kMs);
}

TEST_CASE("shares hold across CPUs that they do not divide evenly")
{
    struct Case {
        Simulator::Shape shape;
        u32 tasks;
    };
    const auto c = GENERATE(Case{{2}, 3}, Case{{4}, 5}, Case{{4, 2, 1}, 7}, Case{{8, 1, 4}, 9},
                            Case{{64, 2, 8}, 100}, Case{{128, 2, 16}, 1'000});
    Simulator sim(c.shape, fair());
    for (u32 i = 0; i < c.tasks; ++i)
        sim.task(sim.group());
    sim.run_for(1'000 * kMs);
    sim.reset_counts();
    sim.run_for(10'000 * kMs);
    u64 least = ~0ull, most = 0, all = 0, moves = 0;
    for (const auto& t : sim.tasks()) {
        least = std::min(least, t.ran);
        most  = std::max(most, t.ran);
        all += t.ran;
        moves += t.moves;
    }
    const double fair_part = 10'000.0 * kMs * c.shape.cpus / c.tasks;
    INFO(c.tasks << " on " << c.shape.cpus << ", moves " << moves);
    CHECK(static_cast<double>(all) == Approx(10'000.0 * kMs * c.shape.cpus).epsilon(0.0001)); // no CPU idled
    CHECK(static_cast<double>(least) / fair_part >= 0.98);
    CHECK(static_cast<double>(most) / fair_part <= 1.02);
}
