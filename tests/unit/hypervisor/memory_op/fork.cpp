// SPDX-License-Identifier: Apache-2.0
//
// Domains that begin with the memory of others: whatever they and others do to it afterwards, each sees what
// it wrote itself since, and what its parent had then; and the frames, the accounts and what is promised
// agree.
#include "memory_op/fork_world.hpp"

#include "mm/reservation.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using namespace vmm::test;

namespace
{

constexpr u64 kLarge = 0x200; // where domains here have 2 MiB in one mapping

Domain& parent_with_large(World& world)
{
    Domain& parent = world.make(1);
    REQUIRE(populate(parent, Gfn(kLarge), kOrder2m));
    for (u64 i = 0; i < 512; ++i)
        REQUIRE(write(parent, kLarge + i, i));
    return parent;
}

} // namespace

TEST_CASE("a large mapping stays one in both, until one of them writes to it")
{
    World world;
    Domain& parent = parent_with_large(world);
    Domain& child  = world.make(2, false, kEmpty);
    const u64 free = frames.free_count();
    REQUIRE(fork(child, parent));
    CHECK(free - frames.free_count() < 8); // tables
    CHECK(parent.p2m().lookup(Gfn(kLarge)).order == kOrder2m);
    CHECK(child.p2m().lookup(Gfn(kLarge)).order == kOrder2m);
    CHECK(child.owned_frames() == parent.owned_frames());
    CHECK(child.memory().shared() == child.owned_frames());
    CHECK(parent.memory().shared() == parent.owned_frames());
    CHECK(frames.common_count() == parent.owned_frames());
    CHECK(frames.saved_count() == parent.owned_frames());

    REQUIRE(write(child, kLarge + 7, 70));
    CHECK(read(child, kLarge + 7) == 70);
    CHECK(read(parent, kLarge + 7) == 7);
    CHECK(read(child, kLarge + 8) == 8);
    CHECK(child.p2m().lookup(Gfn(kLarge)).order == 0);
    CHECK(parent.p2m().lookup(Gfn(kLarge)).order == kOrder2m);
    CHECK(child.memory().shared() + 1 == child.owned_frames());
    REQUIRE(write(parent, kLarge + 7, 700));
    CHECK(read(child, kLarge + 7) == 70);
    CHECK(read(parent, kLarge + 7) == 700);
    CHECK(frames.common_count() == parent.owned_frames() - 1);
}

TEST_CASE("it does not matter who ends first, nor that children have children")
{
    World world;
    Domain& parent = parent_with_large(world);
    Domain& child  = world.make(2, false, kEmpty);
    REQUIRE(fork(child, parent));
    REQUIRE(write(child, 3, 33));
    Domain& grandchild = world.make(3, false, kEmpty);
    REQUIRE(fork(grandchild, child));
    world.destroy(parent);
    CHECK(read(grandchild, 3) == 33);
    CHECK(read(child, kLarge + 100) == 100);
    world.destroy(child);
    CHECK(frames.saved_count() == 0);
    CHECK(read(grandchild, kLarge + 511) == 511);
    REQUIRE(write(grandchild, kLarge + 511, 1));
    CHECK(frames.common_count() == grandchild.owned_frames() - 1);
    world.destroy(grandchild);
    CHECK(frames.common_count() == 0);
    CHECK(world.memory.all_free());
}

TEST_CASE("what others use is copied, and stays theirs and the parent's")
{
    World world;
    Domain& parent = parent_with_large(world);
    Domain& other  = world.make(5, true);
    REQUIRE(place_foreign(other, Gfn(0x1000), parent, Gfn(kLarge + 9)));
    Domain& child = world.make(2, false, kEmpty);
    REQUIRE(fork(child, parent));
    CHECK(type(parent, kLarge + 9) == P2m_type::ram);
    CHECK(type(child, kLarge + 9) == P2m_type::ram);
    CHECK(type(child, kLarge + 8) == P2m_type::ram_common);
    CHECK(read(child, kLarge + 9) == 9);
    *guest<u64>(other, u64{0x1000} << kPageShift) = 5;
    CHECK(read(parent, kLarge + 9) == 5);
    CHECK(read(child, kLarge + 9) == 9);
    // Who maps what is in common gets to see what its owner writes.
    REQUIRE(place_foreign(other, Gfn(0x1001), child, Gfn(kLarge + 8)));
    REQUIRE(write(child, kLarge + 8, 88));
    CHECK(*guest<u64>(other, u64{0x1001} << kPageShift) == 88);
    CHECK(read(parent, kLarge + 8) == 8);
}

TEST_CASE("the child gets a copy of the page shared with the hypervisor, and none of the grants'")
{
    World world;
    Domain& parent = world.make(1);
    REQUIRE(place_shared(parent, Gfn(10), parent.shared_mfn()));
    REQUIRE(place_shared(parent, Gfn(11), *parent.grants().frame(0)));
    parent.shared()->evtchn_mask[0] = 0x1234;
    Domain& child                   = world.make(2, false, kEmpty);
    REQUIRE(fork(child, parent));
    CHECK(guest<shared_info>(child, 10 << kPageShift)->evtchn_mask[0] == 0x1234);
    CHECK(type(child, 10) == P2m_type::ram);
    CHECK(type(child, 11) == P2m_type::invalid);
    CHECK(type(parent, 10) == P2m_type::ram);
    CHECK(child.shared_mfn() != parent.shared_mfn());
}

TEST_CASE("a page beyond what a map can hold is none that is in common")
{
    World world;
    Domain& parent = parent_with_large(world);
    Domain& child  = world.make(2, false, kEmpty);
    REQUIRE(fork(child, parent));
    const Gfn highest = child.p2m().max_gfn();
    const Gfn alias(kLarge + (1ull << 36)); // leads through the same tables
    REQUIRE(child.p2m().make_own(alias));
    CHECK_FALSE(move_page(child, alias, Gfn(0x1000)));
    CHECK(child.p2m().max_gfn() == highest);
    CHECK(type(child, kLarge) == P2m_type::ram_common);
}

TEST_CASE("moving a page that is in common, and giving some of it up")
{
    World world;
    Domain& parent = parent_with_large(world);
    Domain& child  = world.make(2, false, kEmpty);
    REQUIRE(fork(child, parent));
    REQUIRE(move_page(child, Gfn(kLarge + 1), Gfn(0x900)));
    CHECK(read(child, 0x900) == 1);
    CHECK(type(child, kLarge + 1) == P2m_type::invalid);
    REQUIRE(give_up(child, Gfn(kLarge + 256), 8));
    CHECK(child.owned_frames() == parent.owned_frames() - 256);
    REQUIRE(give_up(parent, Gfn(kLarge), 9));
    CHECK(read(child, kLarge + 255) == 255);
    CHECK(parent.memory().shared() == parent.owned_frames());
    REQUIRE(populate(parent, Gfn(kLarge), 9));
    CHECK(read(parent, kLarge + 255) == 0);
}

TEST_CASE("a fork is refused where it makes no sense")
{
    World world;
    Domain& parent = parent_with_large(world);
    CHECK(fork(parent, parent).error() == Errc::einval);
    CHECK(fork(world.make(2), parent).error() == Errc::einval); // has memory
    CHECK(fork(world.make(3, false, {.vcpus = 1, .pages = 0}), parent).error() == Errc::einval);
    Domain& child = world.make(4, false, kEmpty);
    CHECK(fork(child, world.make(5, true)).error() == Errc::einval); // the control domain
    REQUIRE(child.claim_frames(parent.owned_frames() - 1));
    CHECK(fork(child, parent).error() == Errc::einval);
    frames.withdraw_promise(child.take_claim());
    parent.p2m().start_log();
    CHECK(fork(child, parent).error() == Errc::ebusy);
    parent.p2m().stop_log();
    CHECK(fork(child, parent));
    CHECK(parent.runnable());
}

TEST_CASE("the parent is paused for as long as a fork takes, also when the child ends before it")
{
    World world(24576);
    Domain& parent = world.make(1, false, {.pages = 0});
    for (u64 i = 1; i < 21; ++i)
        REQUIRE(populate(parent, Gfn(i * 512), kOrder2m));
    Domain& child = world.make(2, false, kEmpty);
    REQUIRE(child.claim_frames(parent.owned_frames()));
    REQUIRE(fork_memory(child, parent).error() == Errc::erestart);
    CHECK(!parent.runnable());
    world.destroy(child);
    CHECK(parent.runnable());
    world.destroy(parent);
    CHECK(frames.promised_count() == kLastCopies);
}

TEST_CASE("what is promised suffices for every copy; without a promise the writer is told")
{
    World world(2048);
    Domain& parent      = parent_with_large(world);
    Domain& child       = world.make(2, false, kEmpty);
    const bool promised = GENERATE(true, false);
    if (promised)
        REQUIRE(child.claim_frames(parent.owned_frames()));
    REQUIRE(fork(child, parent));
    // Somebody takes all the rest.
    Domain& greedy = world.make(3, false, kEmpty);
    for (u64 gfn = 0; populate(greedy, Gfn(gfn), 0); ++gfn) {
    }
    u64 failed = 0;
    for (u64 i = 0; i < 512; ++i)
        failed += !write(i % 2 != 0 ? parent : child, kLarge + i, i + 1000);
    for (u64 i = 0; i < 512; ++i)
        failed += !write(i % 2 != 0 ? child : parent, kLarge + i, i + 2000);
    CHECK((failed == 0) == promised);
    for (u64 i = 0; promised && i < 512; ++i) {
        CHECK(read(i % 2 != 0 ? parent : child, kLarge + i) == i + 1000);
        CHECK(read(i % 2 != 0 ? child : parent, kLarge + i) == i + 2000);
    }
    world.destroy(greedy);
    world.destroy(parent);
    world.destroy(child);
    CHECK(frames.promised_count() == (promised ? kLastCopies : 0));
}

TEST_CASE("a table that was promised is so no longer when what it was for is gone")
{
    World world;
    Domain& parent = parent_with_large(world);
    Domain& child  = world.make(2, false, kEmpty);
    REQUIRE(child.claim_frames(parent.owned_frames()));
    REQUIRE(fork(child, parent));
    world.destroy(child);
    REQUIRE(frames.promised_count() == kLastCopies + 1); // what the parent may need for its large mapping
    SECTION("all of it is given up") { REQUIRE(give_up(parent, Gfn(kLarge), kOrder2m)); }
    SECTION("some of it is given up") { REQUIRE(give_up(parent, Gfn(kLarge), kOrder4k)); }
    SECTION("some of it is written") { REQUIRE(write(parent, kLarge, 1)); }
    SECTION("its writes are to be logged") { REQUIRE(parent.p2m().prepare_log(Gfn(kLarge))); }
    SECTION("the log is taken")
    {
        P2m::Region_log log;
        parent.p2m().read_log(Gfn(kLarge), P2m::Log_access::take, log);
    }
    SECTION("it is to be executable")
    {
        P2m::small_code = true;
        REQUIRE(parent.p2m().permit_execute(Gfn(kLarge)));
        P2m::small_code = false;
    }
    CHECK(frames.promised_count() == kLastCopies);
}

TEST_CASE("a fork for which there is no memory leaves the parent its own")
{
    World world(1400);
    Domain& parent = parent_with_large(world);
    Domain& other  = world.make(5, true);
    for (u64 i = 0; i < 512; ++i) // in use: all of it has to be copied
        REQUIRE(place_foreign(other, Gfn(0x1000 + i), parent, Gfn(kLarge + i)));
    Domain& greedy = world.make(6, false, kEmpty);
    for (u64 gfn = 0; frames.unpromised_count() > 300; ++gfn)
        REQUIRE(populate(greedy, Gfn(gfn), 0));
    Domain& child = world.make(2, false, kEmpty);
    CHECK(fork(child, parent).error() == Errc::enomem);
    CHECK(parent.runnable());
    world.destroy(child);
    for (u64 i = 0; i < 512; ++i)
        CHECK(read(parent, kLarge + i) == i);
    CHECK(frames.saved_count() == 0);
}
