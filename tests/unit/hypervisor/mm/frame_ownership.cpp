// SPDX-License-Identifier: Apache-2.0
//
// Holds on domains' frames: nobody's frame is reused while somebody uses it, and it is when nobody does.
#include "fakes/memory.hpp"
#include "fakes/panic.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using fakes::Memory;

namespace
{
constexpr Domid kOwner{5};
constexpr Domid kOther{6};
} // namespace

TEST_CASE("a frame that is still mapped elsewhere outlives its owner's interest")
{
    Memory memory(64);
    const Mfn mfn = *frames.allocate(0);
    frames.assign(mfn, 0, kOwner);
    REQUIRE(frames.get_from(mfn, kOwner));
    frames.release(mfn, 0, nullptr);
    CHECK(frames.free_count() == 62);
    CHECK(frames.owner(mfn) == kNobody);
    frames.put(mfn);
    CHECK(memory.all_free());
    CHECK(frames.dirty_count() == 1);
}

TEST_CASE("a frame counts as its owner's until nobody uses it")
{
    Memory memory(64);
    auto* account = new Memory_account;
    account->set_limit(4);
    REQUIRE(account->add(4));
    CHECK(account->add(1).error() == Errc::enomem);
    const Mfn first = *frames.allocate(2);
    frames.assign(first, 2, kOwner);
    REQUIRE(frames.get_from(first + 1, kOwner));
    REQUIRE(frames.get_from(first + 1, kOwner));
    REQUIRE(frames.get_from(first + 3, kOwner));
    frames.release(first, 2, account);
    CHECK(account->owned() == 2);
    CHECK(account->add(3).error() == Errc::enomem);
    frames.put(first + 1);
    CHECK(account->owned() == 2);
    frames.put(first + 1);
    CHECK(account->owned() == 1);
    account->drop(); // the domain goes; the frame that is left keeps it
    CHECK(account->owned() == 1);
    frames.put(first + 3); // and deletes it
    CHECK(memory.all_free());
}

TEST_CASE("only the owner's frames can be held in its name, and only while it has them")
{
    Memory memory(64);
    const Mfn mfn = *frames.allocate(0);
    CHECK_FALSE(frames.get(mfn)); // the hypervisor's own
    CHECK_FALSE(frames.get(Mfn(0)));
    CHECK_FALSE(frames.get(Mfn(64)));
    CHECK_FALSE(frames.get(kInvalidMfn));
    frames.assign(mfn, 0, kOwner);
    CHECK_FALSE(frames.get_from(mfn, kOther));
    REQUIRE(frames.get_from(mfn, kOwner));
    frames.put(mfn);
    frames.release(mfn, 0, nullptr);
    CHECK_FALSE(frames.get(mfn));
    CHECK(memory.all_free());
}

TEST_CASE("memory nobody wrote goes back clean")
{
    Memory memory(2048);
    const Mfn mfn = *frames.allocate(9);
    frames.assign(mfn, 9, kOwner);
    SECTION("untouched: clean, in one block")
    {
        frames.release(mfn, 9, nullptr, false);
        CHECK(frames.dirty_count() == 0);
    }
    SECTION("written by the guest")
    {
        frames.release(mfn, 9, nullptr, true);
        CHECK(frames.dirty_count() == 512);
    }
    SECTION("mapped by somebody else in between")
    {
        REQUIRE(frames.get(mfn + 17));
        frames.put(mfn + 17);
        frames.release(mfn, 9, nullptr, false);
        CHECK(frames.dirty_count() == 512);
    }
    SECTION("written by the hypervisor")
    {
        frames.mark_written(mfn + 511);
        frames.release(mfn, 9, nullptr, false);
        CHECK(frames.dirty_count() == 512);
    }
    CHECK(memory.all_free());
}

TEST_CASE("a superpage with some frames held goes back around them")
{
    Memory memory(2048);
    const Mfn mfn = *frames.allocate(9);
    frames.assign(mfn, 9, kOwner);
    REQUIRE(frames.get(mfn + 3));
    REQUIRE(frames.get(mfn + 500));
    frames.release(mfn, 9, nullptr);
    CHECK(frames.free_count() == 2047 - 2);
    frames.put(mfn + 3);
    frames.put(mfn + 500);
    CHECK(memory.all_free());
    while (frames.scrub_some()) {
    }
    CHECK(frames.allocate(10));
}

TEST_CASE("shared frames belong to who shares them, not to the domain they are shown to")
{
    Memory memory(64);
    const Mfn mfn = *frames.allocate(0);
    frames.share(mfn, kOwner);
    CHECK(frames.state(mfn) == Frame_state::shared);
    REQUIRE(frames.get_from(mfn, kOwner)); // somebody maps it
    frames.put(mfn);                       // the object that shared it goes
    CHECK_FALSE(memory.all_free());
    frames.put(mfn);
    CHECK(memory.all_free());
}

TEST_CASE("holds that nobody has cannot be dropped")
{
    Memory memory(64);
    const Mfn mfn = *frames.allocate(0);
    frames.assign(mfn, 0, kOwner);
    CHECK_THROWS_AS(frames.put(mfn), fakes::Panicked);
}
