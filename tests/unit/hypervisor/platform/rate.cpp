// SPDX-License-Identifier: Apache-2.0
#include "platform/rate.hpp"

#include <catch2/catch.hpp>

using namespace vmm;

namespace
{

// Time passes with every reading; now and then much of it, as when firmware takes the CPU.
struct World {
    mutable u64 ps         = 0;
    mutable u64 readings   = 0;
    u64 ps_per_reading     = 900'000;
    u64 interruption_every = 0;
    u64 interruption_ps    = 0;

    void pass() const
    {
        ps += ps_per_reading;
        if (interruption_every && ++readings % interruption_every == 0)
            ps += interruption_ps;
    }
};

struct Fake_counter {
    const World& world;
    u64 hz;
    u64 offset = 0;

    static u64 read(const void* context)
    {
        const auto& c = *static_cast<const Fake_counter*>(context);
        c.world.pass();
        return c.offset +
               static_cast<u64>(static_cast<unsigned __int128>(c.world.ps) * c.hz / 1'000'000'000'000);
    }
};

double error_of(u64 measured, u64 real)
{
    return std::abs(static_cast<double>(measured) / static_cast<double>(real) - 1.0);
}

} // namespace

TEST_CASE("rate: within a tenth of a percent, wrapped counters and all")
{
    for (const u64 hz : {1'000'000ull, 999'999'937ull, 2'596'123'456ull, 5'700'000'000ull}) {
        World world;
        Fake_counter tsc{world, hz, ~0ull - 1000}, timer{world, 3'579'545, 0xfffff0};
        const auto m = measure_rate({Fake_counter::read, &tsc, ~0ull}, {Fake_counter::read, &timer, 0xffffff},
                                    3'579'545, 3'579'545 / 20);
        INFO(hz);
        CHECK(error_of(m.hz, hz) < 0.0005);
        CHECK(m.error_ppm < 100);
    }
}

TEST_CASE("rate: interruptions between two readings do not spoil it")
{
    World world;
    world.interruption_every = 7;
    world.interruption_ps    = 3'000'000'000; // 3 ms
    Fake_counter tsc{world, 3'000'000'000, 0}, timer{world, 3'579'545, 0};
    const auto m = measure_rate({Fake_counter::read, &tsc, ~0ull}, {Fake_counter::read, &timer, 0xffffff},
                                3'579'545, 3'579'545 / 20);
    CHECK(error_of(m.hz, 3'000'000'000) < 0.0005);
}

TEST_CASE("rate: a counter that stands still has none")
{
    World world;
    Fake_counter dead{world, 0, 5}, timer{world, 3'579'545, 0};
    CHECK(measure_rate({Fake_counter::read, &dead, ~0ull}, {Fake_counter::read, &timer, 0xffffff}, 3'579'545,
                       3'579'545 / 20)
              .hz == 0);
}
