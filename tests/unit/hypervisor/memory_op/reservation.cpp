// SPDX-License-Identifier: Apache-2.0
//
// p2m, frames and account change together: after everything that is done to a domain's memory the three
// agree, and when the domains are gone every frame is free.
#include "world.hpp"

#include "mm/reservation.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace vmm;
using namespace vmm::test;

namespace
{

// Frames the domain's map holds of its own memory, counted the slow way.
u64 owned_in_map(Domain& d, u64 end)
{
    u64 count = 0;
    for (u64 gfn = 0; gfn < end; ++gfn) {
        const auto at = d.p2m().lookup(Gfn(gfn));
        count +=
            is_ram(at.type) && frames.state(at.mfn) == Frame_state::owned && frames.owner(at.mfn) == d.id();
    }
    return count;
}

void grant_mapping(Domain& d, Gfn gfn) { REQUIRE(d.p2m().set(gfn, Mfn(5), 0, P2m_type::grant_rw)); }

} // namespace

TEST_CASE("populate gives zeroed memory, give_up takes it back, both on the account")
{
    World world;
    Domain& d       = world.make(1);
    const u64 owned = d.owned_frames();
    const u64 free  = frames.free_count() + d.p2m().table_count();
    REQUIRE(populate(d, Gfn(0x200), 9));
    CHECK(d.owned_frames() == owned + 512);
    CHECK(d.p2m().lookup(Gfn(0x2ff)).order == 9);
    CHECK(world.memory.is_zero(d.p2m().lookup(Gfn(0x200)).mfn, 9));
    REQUIRE(give_up(d, Gfn(0x200), 9));
    CHECK(d.owned_frames() == owned);
    CHECK(frames.free_count() + d.p2m().table_count() == free);
    CHECK(frames.dirty_count() == 0); // nobody wrote it
    CHECK(give_up(d, Gfn(0x200), 9).error() == Errc::enoent);
}

TEST_CASE("populate need not be aligned, and replaces what is there")
{
    World world;
    Domain& d       = world.make(1);
    const u64 owned = d.owned_frames();
    REQUIRE(populate(d, Gfn(0x203), 3));
    REQUIRE(populate(d, Gfn(0x200), 3));
    CHECK(d.owned_frames() == owned + 11);
    CHECK(owned_in_map(d, 0x400) == d.owned_frames());
    REQUIRE(give_up(d, Gfn(0x1fe), 4)); // holes at both ends
    CHECK(d.owned_frames() == owned);
}

TEST_CASE("give_up_all stops at a hole, give_up does not")
{
    World world;
    Domain& d       = world.make(1);
    const u64 owned = d.owned_frames();
    REQUIRE(populate(d, Gfn(0x200), 2));
    REQUIRE(give_up(d, Gfn(0x202), 0));
    {
        Giving_up pieces(d);
        CHECK(give_up_all(d, Gfn(0x200), 2, pieces).error() == Errc::enoent);
    }
    CHECK(d.owned_frames() == owned + 1);
    CHECK(give_up(d, Gfn(0x200), 2));
    CHECK(d.owned_frames() == owned);
}

TEST_CASE("granted pages and the machine's are not given up")
{
    World world;
    Domain& d = world.make(1);
    grant_mapping(d, Gfn(0x300));
    REQUIRE(d.p2m().set_identity(Gfn(0x301), 1, P2m_type::mmio));
    CHECK(give_up(d, Gfn(0x300), 0).error() == Errc::enxio);
    CHECK(give_up(d, Gfn(0x301), 0).error() == Errc::eperm);
    CHECK(populate(d, Gfn(0x300), 0).error() == Errc::enxio);
    CHECK(d.p2m().lookup(Gfn(0x300)).type == P2m_type::grant_rw);
}

TEST_CASE("a page may be placed where the machine shows through")
{
    World world;
    Domain& d = world.make(1);
    REQUIRE(d.p2m().set_identity(Gfn(0xc0000), 512, P2m_type::mmio));
    REQUIRE(place_shared(d, Gfn(0xc0005), d.shared_mfn()));
    CHECK(d.p2m().lookup(Gfn(0xc0005)).mfn == d.shared_mfn());
    CHECK(d.p2m().lookup(Gfn(0xc0006)).type == P2m_type::mmio);
}

TEST_CASE("out of range is refused")
{
    World world;
    Domain& d = world.make(1);
    CHECK(populate(d, kInvalidGfn, 0).error() == Errc::einval);
    CHECK(populate(d, Gfn(P2m::kLastGfn), 1).error() == Errc::einval);
    CHECK(populate(d, Gfn(0), 64).error() == Errc::einval);
    CHECK(give_up(d, kInvalidGfn, 0).error() == Errc::einval);
    CHECK(move_page(d, Gfn(0), kInvalidGfn).error() == Errc::einval);
}

TEST_CASE("short of memory nothing is lost")
{
    World world(400);
    Domain& d       = world.make(1, false, {.pages = 8});
    const u64 owned = d.owned_frames();
    const u64 free  = frames.free_count();
    CHECK(populate(d, Gfn(0x1000), 9).error() == Errc::enomem);
    CHECK(d.owned_frames() == owned);
    CHECK(frames.free_count() == free);
    REQUIRE(frames.promise(free - 2));
    CHECK(populate(d, Gfn(0x1000), 2).error() == Errc::enomem); // promised to others
    frames.withdraw_promise(free - 2);
    CHECK(d.owned_frames() == owned);
}

TEST_CASE("a foreign page is held until it goes from the map")
{
    World world;
    Domain& control = world.make(0, true);
    Domain& guest_d = world.make(1);
    const Mfn mfn   = guest_d.p2m().lookup(Gfn(5)).mfn;
    REQUIRE(place_foreign(control, Gfn(0x1000), guest_d, Gfn(5)));
    CHECK(control.p2m().lookup(Gfn(0x1000)).type == P2m_type::foreign);
    CHECK(control.p2m().lookup(Gfn(0x1000)).mfn == mfn);
    CHECK(place_foreign(control, Gfn(0x1001), guest_d, Gfn(0x9999)).error() == Errc::einval);
    CHECK(place_foreign(control, Gfn(0x1001), guest_d, Gfn(0x1000)).error() == Errc::einval);

    const u64 owned = control.owned_frames();
    world.destroy(guest_d);
    CHECK(frames.holds(mfn) == 1);
    CHECK(frames.owner(mfn) == kNobody);
    const u64 free = frames.free_count();
    REQUIRE(give_up(control, Gfn(0x1000), 0));
    CHECK(frames.free_count() == free + 1);
    CHECK(control.owned_frames() == owned);
}

TEST_CASE("a page moves with its contents, and the old place is empty")
{
    World world;
    Domain& d              = world.make(1);
    const u64 owned        = d.owned_frames();
    *guest<u64>(d, 0x3000) = 77;
    REQUIRE(move_page(d, Gfn(3), Gfn(0x500)));
    CHECK(*guest<u64>(d, 0x500000) == 77);
    CHECK(guest<u64>(d, 0x3000) == nullptr);
    CHECK(d.owned_frames() == owned);
    REQUIRE(move_page(d, Gfn(0x500), Gfn(4))); // the page that was there is given up
    CHECK(d.owned_frames() == owned - 1);
    REQUIRE(move_page(d, Gfn(4), Gfn(4)));
    CHECK(*guest<u64>(d, 0x4000) == 77);
    CHECK(move_page(d, Gfn(0x500), Gfn(6)).error() == Errc::einval);
}

TEST_CASE("a shared page replaces memory, and giving it up gives nothing away")
{
    World world;
    Domain& d       = world.make(1);
    const u64 owned = d.owned_frames();
    REQUIRE(place_shared(d, Gfn(7), d.shared_mfn()));
    CHECK(d.owned_frames() == owned - 1);
    CHECK(guest<void>(d, 0x7000) == static_cast<void*>(d.shared()));
    REQUIRE(give_up(d, Gfn(7), 0));
    CHECK(d.owned_frames() == owned - 1);
    CHECK(frames.state(d.shared_mfn()) == Frame_state::shared);
    CHECK_FALSE(d.p2m().lookup(Gfn(7)).present());
}

TEST_CASE("memory among which is a page of the hypervisor's does not become one large page")
{
    World world;
    Domain& d = world.make(1, false, {.grant_frames = 64});
    REQUIRE(populate(d, Gfn(0x200), kOrder2m));
    const Mfn given_up = d.p2m().lookup(Gfn(0x205)).mfn;
    REQUIRE(give_up(d, Gfn(0x205), 0));
    Mfn shared = kInvalidMfn;
    for (u32 i = 0; i < 64 && shared != given_up; ++i)
        shared = *d.grants().frame(i);
    REQUIRE(shared == given_up); // just where it was
    REQUIRE(place_shared(d, Gfn(0x205), shared));
    d.p2m().restore_after_log(Gfn(0x200));
    CHECK(d.p2m().lookup(Gfn(0x200)).order == 0);
    REQUIRE(give_up(d, Gfn(0x200), kOrder2m));
    CHECK(frames.state(shared) == Frame_state::shared);
}

TEST_CASE("mapping that is undone for want of tables is undone wholly")
{
    World world;
    Domain& d       = world.make(1);
    const u64 owned = d.owned_frames();
    constexpr Gfn before_the_next_gib(0x40000 - 512);
    d.p2m().set_table_limit(d.p2m().table_count());
    CHECK_FALSE(populate(d, before_the_next_gib, kOrder2m + 1));
    CHECK(d.owned_frames() == owned);
    CHECK_FALSE(d.p2m().lookup(before_the_next_gib).present());
}

TEST_CASE("random changes keep map, frames and account in step")
{
    World world(6000);
    Domain& d       = world.make(1);
    Domain& control = world.make(0, true);
    std::mt19937 random(9);
    for (int step = 0; step < 4000; ++step) {
        const Gfn gfn(random() % 2048);
        const unsigned order = std::array{0u, 0u, 1u, 4u, 9u}[random() % 5];
        switch (random() % 6) {
        case 0:
        case 1: (void)populate(d, Gfn(gfn.value() & ~low_bits(order)), order); break;
        case 2: (void)give_up(d, gfn, order); break;
        case 3: (void)move_page(d, gfn, Gfn(random() % 2048)); break;
        case 4: (void)place_foreign(control, Gfn(0x4000 + random() % 64), d, gfn); break;
        case 5: frames.scrub_some(); break;
        }
        if (step % 200 == 0) {
            const u64 given_up_but_used = d.owned_frames() - owned_in_map(d, 2600);
            REQUIRE(given_up_but_used <= 64);
        }
    }
    for (u64 i = 0; i < 64; ++i)
        (void)give_up(control, Gfn(0x4000 + i), 0);
    CHECK(owned_in_map(d, 2600) == d.owned_frames());
    world.destroy(d);
    world.destroy(control);
    CHECK(world.memory.all_free());
}

TEST_CASE("what is given up is not free before CPUs were told, once for many pieces")
{
    World world;
    Domain& d = world.make(1);
    for (u64 gfn = 0x400; gfn < 0x400 + 40; ++gfn)
        REQUIRE(populate(d, Gfn(gfn), kOrder4k));
    d.p2m().used_by(1); // another CPU runs it
    unsigned told              = 0;
    const u64 owned            = d.owned_frames();
    const u64 free             = frames.free_count();
    fakes::on_make_leave_guest = [&](u64 cpus) {
        CHECK(cpus == bit(1));
        CHECK(d.p2m().lookup(Gfn(0x400)).type == P2m_type::invalid);
        CHECK(frames.free_count() == free + 32 * told);
        ++told;
    };
    {
        Giving_up pieces(d);
        for (u64 gfn = 0x400; gfn < 0x400 + 40; ++gfn)
            CHECK(give_up_all(d, Gfn(gfn), kOrder4k, pieces));
        CHECK(d.owned_frames() == owned - 32);
    }
    fakes::on_make_leave_guest = nullptr;
    CHECK(told == 2);
    CHECK(d.owned_frames() == owned - 40);
    CHECK(frames.free_count() == free + 40);

    // A table that falls out of the tree may be known to CPUs, too.
    REQUIRE(populate(d, Gfn(0x601), kOrder4k));
    REQUIRE(give_up(d, Gfn(0x601), kOrder4k));
    const u64 before           = frames.free_count() - 512;
    told                       = 0;
    fakes::on_make_leave_guest = [&](u64) {
        ++told;
        CHECK(frames.free_count() == before);
    };
    REQUIRE(populate(d, Gfn(0x600), 9));
    CHECK(told == 1);
    CHECK(frames.free_count() == before + 1);
    fakes::on_make_leave_guest = nullptr;
    d.p2m().unused_by(1);
}
