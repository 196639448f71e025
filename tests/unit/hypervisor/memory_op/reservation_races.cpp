// SPDX-License-Identifier: Apache-2.0
//
// Memory of a domain is placed on one CPU while another maps grants into the same place, which takes only the
// lock of the map.
#include "memory_op/race_cpus.hpp"
#include "world.hpp"

#include "mm/reservation.hpp"

#include <catch2/catch.hpp>

#include <chrono>

using namespace vmm;
using namespace vmm::test;

TEST_CASE("what is placed never covers a grant")
{
    constexpr Gfn place(0x1000);
    constexpr unsigned order = 3;
    constexpr Mfn granted(5);
    World world;
    Domain& d       = world.make(1);
    const u64 owned = d.owned_frames();
    std::atomic<bool> placing{true};
    std::atomic<u32> mapped{0}, lost{0};
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    const auto met = [&] { return mapped > 0 || std::chrono::steady_clock::now() > end; };
    on_cpus(2, [&](u32 cpu) {
        for (u32 round = 0; cpu == 0 && (round < 3000 || !met()); ++round) {
            if (populate(d, place, order))
                static_cast<void>(give_up(d, place, order));
            run_guest();
        }
        for (; cpu == 1 && placing; run_guest()) {
            const Gfn gfn = place + 5;
            if (!d.p2m().add_page(gfn, granted, P2m_type::grant_rw))
                continue;
            ++mapped;
            lost += !d.p2m().remove_page(gfn, granted, P2m_type::grant_rw);
        }
        placing = false;
    });
    CHECK(mapped > 0);
    CHECK(lost == 0);
    CHECK(d.owned_frames() == owned);
}
