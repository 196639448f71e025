// SPDX-License-Identifier: Apache-2.0
//
// Several CPUs at once, under ThreadSanitizer: domains write the same frames in common at the same time,
// while others map, give up and inherit them. Each CPU is in one domain and knows what it wrote there.
#include "memory_op/race_cpus.hpp"
#include "world.hpp"

#include "mm/fork.hpp"
#include "mm/reservation.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using namespace vmm::test;

namespace
{

constexpr u64 kPages     = 512;
constexpr unsigned kCpus = 4;
constexpr Limits kEmpty{.pages = 0};

std::atomic<unsigned> wrong{0};

u64& word(Domain& d, u64 gfn) { return *guest<u64>(d, gfn << kPageShift); }

// Reads what the parent had, then writes something of its own, page by page, and at the end finds all of it.
void live(Domain& d, u64 mark)
{
    for (u64 gfn = 0; gfn < kPages; ++gfn) {
        wrong += word(d, gfn) != gfn;
        wrong += !d.p2m().make_own(Gfn(gfn));
        word(d, gfn) = gfn + mark;
        run_guest();
    }
    for (u64 gfn = 0; gfn < kPages; ++gfn)
        wrong += word(d, gfn) != gfn + mark;
}

bool fork(Domain& child, Domain& parent)
{
    while (true) {
        const auto done = fork_memory(child, parent);
        if (done || done.error() != Errc::erestart)
            return done.has_value();
    }
}

} // namespace

TEST_CASE("all sharers write the same frames at once")
{
    World world(8192);
    Domain* family[kCpus];
    family[0] = &world.make(1, false, kEmpty);
    REQUIRE(populate(*family[0], Gfn(0), kOrder2m));
    for (u64 gfn = 0; gfn < kPages; ++gfn)
        word(*family[0], gfn) = gfn;
    for (u16 i = 1; i < kCpus; ++i) {
        family[i] = &world.make(static_cast<u16>(i + 1), false, kEmpty);
        REQUIRE(family[i]->claim_frames(family[0]->owned_frames()));
        REQUIRE(fork(*family[i], *family[i / 2]));
    }
    wrong = 0;
    on_cpus(kCpus, [&](u32 cpu) { live(*family[cpu], (cpu + 1) * 10'000); });
    CHECK(wrong == 0);
    CHECK(frames.common_count() == 0);
    CHECK(frames.saved_count() == 0);
    for (Domain* d : family)
        CHECK(d->memory().shared() == 0);
}

TEST_CASE("a domain that is just forked is mapped as ever")
{
    World world(16384);
    Domain& parent = world.make(1, false, kEmpty);
    REQUIRE(populate(parent, Gfn(0), kOrder2m));
    Domain& dom0 = world.make(9, true, kEmpty);
    std::vector<Domain*> children;
    for (u16 i = 0; i < 8; ++i)
        children.push_back(&world.make(static_cast<u16>(20 + i), false, kEmpty));
    wrong = 0;
    std::atomic<bool> forked{false};
    on_cpus(2, [&](u32 cpu) {
        if (cpu == 0) {
            for (Domain* const child : children) {
                wrong += !fork(*child, parent);
                for (u64 gfn = 0; gfn < kPages; ++gfn)
                    wrong += !parent.p2m().make_own(Gfn(gfn)); // so that the next one puts it in common anew
                run_guest();
            }
            forked = true;
        }
        for (u64 gfn = 0; cpu == 1 && !forked; gfn = (gfn + 1) % kPages) {
            wrong += !place_foreign(dom0, Gfn(gfn), parent, Gfn(gfn));
            wrong += !give_up(dom0, Gfn(gfn), 0);
            run_guest();
        }
    });
    CHECK(wrong == 0);
}

TEST_CASE("a domain is mapped by another, forked and given up while its siblings write")
{
    World world(16384);
    Domain& parent = world.make(1, false, kEmpty);
    REQUIRE(populate(parent, Gfn(0), kOrder2m));
    for (u64 gfn = 0; gfn < kPages; ++gfn)
        word(parent, gfn) = gfn;
    Domain& dom0    = world.make(9, true, kEmpty);
    Domain& writer  = world.make(2, false, kEmpty);
    Domain& mapped  = world.make(3, false, kEmpty);
    Domain& shrinks = world.make(4, false, kEmpty);
    Domain& late    = world.make(5, false, kEmpty);
    REQUIRE(fork(writer, parent));
    REQUIRE(fork(mapped, parent));
    REQUIRE(fork(shrinks, parent));
    wrong = 0;
    on_cpus(kCpus, [&](u32 cpu) {
        switch (cpu) {
        case 0: return live(writer, 1'000'000);
        case 1:
            for (u64 gfn = 0; gfn < kPages; ++gfn) {
                wrong += !place_foreign(dom0, Gfn(gfn), mapped, Gfn(gfn));
                run_guest();
                wrong += word(dom0, gfn) != gfn;
            }
            return;
        case 2:
            for (u64 gfn = 0; gfn < kPages; gfn += 2) {
                wrong += !give_up(shrinks, Gfn(gfn), 0);
                run_guest();
            }
            return;
        default: wrong += !fork(late, parent); return live(late, 2'000'000);
        }
    });
    CHECK(wrong == 0);
    for (u64 gfn = 0; gfn < kPages; ++gfn) {
        CHECK(word(parent, gfn) == gfn);
        CHECK(word(mapped, gfn) == gfn);
    }
    CHECK(shrinks.owned_frames() == kPages / 2);
}
