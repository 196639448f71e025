// SPDX-License-Identifier: Apache-2.0
//
// The buddy allocator: blocks are disjoint, aligned, zero when promised, merge back completely, and every
// wrong free is caught.
#include "base/turns.hpp"
#include "fakes/memory.hpp"
#include "fakes/panic.hpp"
#include "platform/cpus.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <thread>
#include <vector>

using namespace vmm;
using fakes::Memory;

TEST_CASE("all memory can be had as single frames, and comes back as the largest blocks")
{
    Memory memory(1 + 1024);
    std::vector<Mfn> all;
    while (const auto mfn = frames.allocate(0))
        all.push_back(*mfn);
    REQUIRE(all.size() == 1024);
    REQUIRE(frames.free_count() == 0);
    for (const Mfn mfn : all)
        frames.free(mfn, 0);
    REQUIRE(memory.all_free());
    const auto big = frames.allocate(9);
    REQUIRE(big);
    CHECK(big->value() == 512);
}

TEST_CASE("freed memory is dirty until scrubbed, and nobody gets it unscrubbed")
{
    Memory memory(64);
    const Mfn mfn = *frames.allocate(3);
    memory.dirty(mfn, 3);
    frames.free(mfn, 3);
    CHECK(frames.dirty_count() == 8);

    SECTION("clean memory is preferred")
    {
        for (int i = 0; i < 7; ++i)
            REQUIRE(memory.is_zero(*frames.allocate(2), 2));
        CHECK(frames.dirty_count() == 8);
    }
    SECTION("scrubbed on demand when nothing clean is left")
    {
        while (const auto m = frames.allocate(0))
            REQUIRE(memory.is_zero(*m));
        CHECK(frames.free_count() == 0);
    }
    SECTION("scrubbed by the idle loop, after which it merges")
    {
        CHECK(frames.scrub_some());
        CHECK_FALSE(frames.scrub_some());
        CHECK(frames.dirty_count() == 0);
        CHECK(memory.is_zero(mfn, 3));
    }
    SECTION("who does not care gets the dirty first") { CHECK(*frames.allocate_unscrubbed(3) == mfn); }
}

TEST_CASE("one step of scrubbing is short")
{
    Memory memory(4096, false);
    const u64 before = frames.dirty_count();
    REQUIRE(frames.scrub_some());
    CHECK(before - frames.dirty_count() == 64);
}

TEST_CASE("claim takes exactly the frame, zeroed, once")
{
    Memory memory(1024, false);
    for (const u64 wanted : {1u, 700u, 513u, 1023u}) {
        memory.dirty(Mfn(wanted));
        REQUIRE(frames.claim(Mfn(wanted)));
        CHECK(memory.is_zero(Mfn(wanted)));
        CHECK(frames.claim(Mfn(wanted)).error() == Errc::ebusy);
    }
    CHECK(frames.claim(Mfn(0)).error() == Errc::ebusy);
    CHECK(frames.claim(Mfn(1024)).error() == Errc::einval);
    CHECK(frames.free_count() == 1023 - 4);
    for (const u64 wanted : {1u, 700u, 513u, 1023u})
        frames.free(Mfn(wanted), 0);
    CHECK(memory.all_free());
}

TEST_CASE("a claim of many frames gathers them, or takes none")
{
    Memory memory(1024, false);
    REQUIRE(frames.claim(Mfn(600)));
    CHECK(frames.claim(Mfn(512), 9).error() == Errc::ebusy);
    CHECK(frames.free_count() == 1022);
    frames.free(Mfn(600), 0); // dirty again, among what was scrubbed meanwhile
    memory.dirty(Mfn(600));
    REQUIRE(frames.claim(Mfn(512), 9));
    CHECK(memory.is_zero(Mfn(512), 9));
    CHECK(frames.free_count() == 1023 - 512);
    CHECK(frames.claim(Mfn(1008), 4).error() == Errc::ebusy);
    CHECK(frames.claim(Mfn(1020), 4).error() == Errc::einval);
    for (u64 i = 512; i < 1024; ++i)
        frames.free(Mfn(i), 0);
    CHECK(memory.all_free());
    CHECK(frames.claim(Mfn(3), 2)); // need not be aligned
}

TEST_CASE("wrong frees are caught")
{
    Memory memory(64);
    const Mfn mfn = *frames.allocate(2);
    CHECK_THROWS_AS(frames.free(mfn, 1), fakes::Panicked);
    CHECK_THROWS_AS(frames.free(mfn + 1, 0), fakes::Panicked);
    CHECK_THROWS_AS(frames.free(Mfn(64), 0), fakes::Panicked);
    CHECK_THROWS_AS(frames.free(Mfn(0), 0), fakes::Panicked);
    frames.free(mfn, 2);
    CHECK_THROWS_AS(frames.free(mfn, 2), fakes::Panicked);
}

TEST_CASE("promises keep frames back but do not take them")
{
    Memory memory(101);
    REQUIRE(frames.promise(60));
    CHECK(frames.promise(41).error() == Errc::enomem);
    CHECK(frames.unpromised_count() == 40);
    CHECK(frames.free_count() == 100);
    frames.withdraw_promise(60);
    CHECK(frames.unpromised_count() == 100);
}

TEST_CASE("where more is promised than there is, nothing more is")
{
    Memory memory(256);
    REQUIRE(frames.promise(frames.free_count()));
    REQUIRE(frames.allocate(0)); // the hypervisor's own need
    CHECK_FALSE(frames.promise(1));
    CHECK_FALSE(frames.promise(1'000'000));
}

TEST_CASE("random use: blocks never overlap and nothing is lost")
{
    Memory memory(3000, false);
    std::mt19937 random(7);
    std::map<u64, unsigned> model; // first frame -> order
    std::vector<bool> taken(3000);
    u64 taken_count = 0;
    const auto mark = [&](u64 first, unsigned order, bool value) {
        for (u64 i = first; i < first + (1ull << order); ++i) {
            REQUIRE(taken[i] != value);
            taken[i] = value;
        }
        taken_count += value ? 1ull << order : -(1ull << order);
    };
    for (int step = 0; step < 20000; ++step) {
        const unsigned what = random() % 8;
        if (what < 4) {
            const unsigned order = random() % 6;
            const auto mfn       = what == 0 ? frames.allocate_unscrubbed(order) : frames.allocate(order);
            if (mfn) {
                REQUIRE(mfn->value() % (1u << order) == 0);
                if (what != 0)
                    REQUIRE(memory.is_zero(*mfn, order));
                mark(mfn->value(), order, true);
                model[mfn->value()] = order;
                memory.dirty(*mfn, order);
            }
        } else if (what == 4) {
            const u64 wanted = random() % 3000;
            const auto got   = frames.claim(Mfn(wanted));
            REQUIRE(got.has_value() == (wanted != 0 && !taken[wanted]));
            if (got) {
                mark(wanted, 0, true);
                model[wanted] = 0;
                memory.dirty(Mfn(wanted));
            }
        } else if (what == 5) {
            frames.scrub_some();
        } else if (!model.empty()) {
            auto it = model.lower_bound(random() % 3000);
            if (it == model.end())
                it = model.begin();
            mark(it->first, it->second, false);
            frames.free(Mfn(it->first), it->second);
            model.erase(it);
        }
        REQUIRE(frames.free_count() + taken_count == 2999);
    }
    for (const auto& [first, order] : model)
        frames.free(Mfn(first), order);
    while (frames.scrub_some()) {
    }
    CHECK(memory.all_free());
    CHECK(frames.allocate(10)); // merged into large blocks again
}

TEST_CASE("memory that another CPU is scrubbing is free all the same")
{
    constexpr u64 total = 512;
    Memory memory(1 + total);
    std::atomic<bool> stop{false};
    std::thread scrubber([&] {
        while (!stop)
            frames.scrub_some();
    });
    unsigned short_of = 0;
    for (unsigned round = 0; round < 300; ++round) {
        std::vector<Mfn> all;
        while (const auto mfn = round % 2 ? frames.allocate(0) : frames.allocate_unscrubbed(0))
            all.push_back(*mfn);
        short_of += all.size() != total;
        for (const Mfn mfn : all)
            frames.free(mfn, 0);
        short_of += frames.free_count() != total;
        const auto claimed = frames.claim(all[0]);
        short_of += !claimed;
        frames.free(all[0], 0);
    }
    stop = true;
    scrubber.join();
    CHECK(short_of == 0);
    CHECK(memory.all_free());
}

TEST_CASE("a freed frame rests until every other CPU was out of the hypervisor")
{
    Memory memory(1 + 8);
    known_cpus.count  = 3;
    const auto toggle = [](u32 cpu) { ++turns::count.of(cpu); }; // in to out, or out to in
    toggle(2);                                                   // CPU 2 is out; 0, which frees, and 1 are in
    std::vector<Mfn> all;
    while (const auto mfn = frames.allocate(0))
        all.push_back(*mfn);
    REQUIRE(all.size() == 8);
    memory.dirty(all[0], 0);
    frames.assign(all[0], 0, Domid(1));
    frames.release(all[0], 0, nullptr, false); // a CPU that is not done with it may yet write
    CHECK(frames.free_count() == 1);
    CHECK_FALSE(frames.allocate(0));
    CHECK_FALSE(frames.claim(all[0]));
    toggle(2);
    CHECK_FALSE(frames.allocate(0));
    toggle(1);
    toggle(1); // in again, but it was out
    const auto again = frames.allocate(0);
    REQUIRE(again);
    CHECK(*again == all[0]);
    CHECK(memory.is_zero(*again, 0));

    // What is freed while others rest waits for another round.
    frames.free(all[0], 0);
    frames.free(all[1], 0);
    toggle(1);
    toggle(2);
    CHECK(frames.allocate(0));
    CHECK(frames.allocate(0));
    CHECK(frames.free_count() == 0);
    toggle(1);
    toggle(2);
    toggle(2);
    known_cpus.count = 1;
    for (const Mfn mfn : all)
        frames.free(mfn, 0);
    CHECK(memory.all_free());
}
