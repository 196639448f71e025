// SPDX-License-Identifier: Apache-2.0
//
// Mapping and unmapping of grants: what is allowed, what a hostile granter or mapper can do, and who may
// die first.
#include "granter.hpp"

#include <catch2/catch.hpp>

#include <thread>

using namespace vmm;
using namespace vmm::test;

namespace
{

constexpr u64 kAt = 500; // a guest frame where the mapper has nothing

struct Two {
    World world;
    Domain& granter = world.make(1);
    Domain& mapper  = world.make(2);
};

u16 use_flags(Domain& d, u32 ref) { return entry(d, ref).flags & (GTF_reading | GTF_writing); }

} // namespace

TEST_CASE("a mapped page is the granter's page, and unmapping takes it away")
{
    Two t;
    grant(t.granter, 8, Domid(2), 5);
    const auto op = map(t.mapper, Domid(1), 8, kAt);
    REQUIRE(op.status == GNTST_okay);
    const P2m_entry mapped = t.mapper.p2m().lookup(Gfn(kAt));
    CHECK(mapped.type == P2m_type::grant_rw);
    CHECK(mapped.mfn == t.granter.p2m().lookup(Gfn(5)).mfn);
    CHECK(op.dev_bus_addr == mapped.mfn.value() << 12);
    CHECK(use_flags(t.granter, 8) == (GTF_reading | GTF_writing));

    const u32 generation = t.mapper.p2m().generation();
    REQUIRE(unmap(t.mapper, op.handle, kAt) == GNTST_okay);
    CHECK_FALSE(t.mapper.p2m().lookup(Gfn(kAt)).present());
    CHECK(t.mapper.p2m().generation() != generation);
    CHECK(use_flags(t.granter, 8) == 0);
    CHECK(unmap(t.mapper, op.handle, kAt) == GNTST_bad_handle);
}

TEST_CASE("who may map what")
{
    Two t;
    Domain& other = t.world.make(3);
    grant(t.granter, 8, Domid(2), 5);
    grant(t.granter, 9, Domid(2), 5, GTF_readonly);
    grant(t.granter, 10, Domid(2), 9999);
    CHECK(map(other, Domid(1), 8, kAt).status == GNTST_general_error);
    CHECK(map(t.mapper, Domid(77), 8, kAt).status == GNTST_bad_domain);
    CHECK(map(t.mapper, Domid(DOMID_SELF), 8, kAt).status == GNTST_bad_domain);
    CHECK(map(t.mapper, Domid(1), 512, kAt).status == GNTST_bad_gntref);
    CHECK(map(t.mapper, Domid(1), ~0u, kAt).status == GNTST_bad_gntref);
    CHECK(map(t.mapper, Domid(1), 11, kAt).status == GNTST_general_error); // not granted
    CHECK(map(t.mapper, Domid(1), 9, kAt).status == GNTST_general_error);
    CHECK(map(t.mapper, Domid(1), 10, kAt).status == GNTST_bad_page);
    CHECK(map(t.mapper, Domid(1), 8, kAt, 0).status == GNTST_bad_gntref);
    CHECK(map(t.mapper, Domid(1), 8, kAt, GNTMAP_host_map | GNTMAP_device_map).status == GNTST_general_error);
    CHECK(map(t.mapper, Domid(1), 8, kAt, GNTMAP_host_map | GNTMAP_contains_pte).status ==
          GNTST_general_error);
    CHECK(map(t.mapper, Domid(1), 8, P2m::kLastGfn + 1).status == GNTST_general_error);
    for (const u32 ref : {8u, 9u, 10u, 11u})
        CHECK(use_flags(t.granter, ref) == 0);
    CHECK_FALSE(t.mapper.p2m().lookup(Gfn(kAt)).present());

    const auto op = map(t.mapper, Domid(1), 9, kAt, GNTMAP_host_map | GNTMAP_readonly);
    REQUIRE(op.status == GNTST_okay);
    CHECK(t.mapper.p2m().lookup(Gfn(kAt)).type == P2m_type::grant_ro);
    CHECK(use_flags(t.granter, 9) == GTF_reading);
}

TEST_CASE("readers and writers of one grant are counted")
{
    Two t;
    grant(t.granter, 8, Domid(2), 5);
    const auto reader = map(t.mapper, Domid(1), 8, kAt, GNTMAP_host_map | GNTMAP_readonly);
    const auto writer = map(t.mapper, Domid(1), 8, kAt + 1);
    CHECK(use_flags(t.granter, 8) == (GTF_reading | GTF_writing));
    REQUIRE(unmap(t.mapper, writer.handle, kAt + 1) == GNTST_okay);
    CHECK(use_flags(t.granter, 8) == GTF_reading);
    // Revoked writing: the next writer is refused while the reader stays.
    entry(t.granter, 8).flags |= GTF_readonly;
    CHECK(map(t.mapper, Domid(1), 8, kAt + 1).status == GNTST_general_error);
    REQUIRE(unmap(t.mapper, reader.handle, kAt) == GNTST_okay);
    CHECK(use_flags(t.granter, 8) == 0);
}

TEST_CASE("a grant in use cannot be turned over to another domain or frame")
{
    Two t;
    Domain& other = t.world.make(3);
    grant(t.granter, 8, Domid(2), 5);
    const auto op = map(t.mapper, Domid(1), 8, kAt);
    grant(t.granter, 8, Domid(3), 6);
    CHECK(map(other, Domid(1), 8, kAt).status == GNTST_general_error);
    const auto again = map(t.mapper, Domid(1), 8, kAt + 1);
    REQUIRE(again.status == GNTST_okay);
    CHECK(t.mapper.p2m().lookup(Gfn(kAt + 1)).mfn == t.granter.p2m().lookup(Gfn(5)).mfn);
    REQUIRE(unmap(t.mapper, again.handle, kAt + 1) == GNTST_okay);
    REQUIRE(unmap(t.mapper, op.handle, kAt) == GNTST_okay);
    CHECK(map(other, Domid(1), 8, kAt).status == GNTST_okay);
}

TEST_CASE("handles are not believed")
{
    Two t;
    grant(t.granter, 8, Domid(2), 5);
    const auto op = map(t.mapper, Domid(1), 8, kAt);
    CHECK(unmap(t.mapper, op.handle + 1, kAt) == GNTST_bad_handle);
    CHECK(unmap(t.mapper, ~0u, kAt) == GNTST_bad_handle);
    CHECK(unmap(t.mapper, 1u << 20, kAt) == GNTST_bad_handle);
    CHECK(unmap(t.mapper, op.handle, kAt + 1) == GNTST_general_error);
    CHECK(unmap(t.mapper, op.handle, 3) == GNTST_general_error); // its own memory
    CHECK(unmap(t.mapper, op.handle, 0) == GNTST_okay);          // names nothing, undoes nothing
    CHECK(t.mapper.p2m().lookup(Gfn(kAt)).present());
    CHECK(unmap(t.mapper, op.handle, kAt) == GNTST_okay);
}

TEST_CASE("mapping over own memory gives that memory up; over another grant it is refused")
{
    Two t;
    grant(t.granter, 8, Domid(2), 5);
    grant(t.granter, 9, Domid(2), 6);
    const u64 owned = t.mapper.owned_frames();
    const u64 free  = frames.free_count();
    const auto op   = map(t.mapper, Domid(1), 8, 7);
    REQUIRE(op.status == GNTST_okay);
    CHECK(t.mapper.owned_frames() == owned - 1);
    CHECK(frames.free_count() == free + 1);
    CHECK(map(t.mapper, Domid(1), 9, 7).status == GNTST_general_error);
    CHECK(use_flags(t.granter, 9) == 0);
    REQUIRE(unmap(t.mapper, op.handle, 7) == GNTST_okay);
}

TEST_CASE("what is mapped from elsewhere cannot be granted on")
{
    Two t;
    Domain& third = t.world.make(3);
    grant(t.granter, 8, Domid(2), 5);
    REQUIRE(map(t.mapper, Domid(1), 8, kAt).status == GNTST_okay);
    grant(t.mapper, 8, Domid(3), kAt);
    CHECK(map(third, Domid(2), 8, kAt).status == GNTST_bad_page);
}

TEST_CASE("handles run out without harm")
{
    World world;
    Limits limits;
    limits.maptrack_frames = 1;
    Domain& granter        = world.make(1);
    Domain& mapper         = world.make(2, false, limits);
    grant(granter, 8, Domid(2), 5);
    std::vector<u32> handles;
    for (;;) {
        const auto op = map(mapper, Domid(1), 8, kAt + handles.size());
        if (op.status != GNTST_okay) {
            CHECK(op.status == GNTST_no_space);
            break;
        }
        handles.push_back(op.handle);
    }
    CHECK(handles.size() == 256);
    for (u64 i = 0; i < handles.size(); ++i)
        REQUIRE(unmap(mapper, handles[i], kAt + i) == GNTST_okay);
    CHECK(use_flags(granter, 8) == 0);
    CHECK(map(mapper, Domid(1), 8, kAt).status == GNTST_okay);
}

TEST_CASE("the granter may go first: its page stays until it is unmapped")
{
    Two t;
    const u64 free_at_start = frames.free_count();
    Domain& granter         = t.world.make(5);
    grant(granter, 8, Domid(2), 5);
    *guest<u32>(granter, 5 << 12) = 0x1234;
    const auto op                 = map(t.mapper, Domid(5), 8, kAt);
    REQUIRE(op.status == GNTST_okay);
    t.world.destroy(granter);
    CHECK(*guest<u32>(t.mapper, kAt << 12) == 0x1234);
    // Its id can be used again meanwhile; the new domain's grants are not touched by the old mapping.
    Domain& same_id = t.world.make(5);
    grant(same_id, 8, Domid(2), 5, GTF_reading | GTF_writing);
    REQUIRE(unmap(t.mapper, op.handle, kAt) == GNTST_okay);
    CHECK(use_flags(same_id, 8) == (GTF_reading | GTF_writing));
    t.world.destroy(same_id);
    // All but the page tables the mapper grew for the address.
    CHECK(free_at_start - frames.free_count() <= 2);
}

TEST_CASE("the mapper may go first: the granter's entries are free again")
{
    Two t;
    const u64 free_at_start = frames.free_count();
    Domain& mapper          = t.world.make(5);
    for (u32 i = 0; i < 600; ++i)
        grant(t.granter, i, Domid(5), i % 64);
    for (u32 i = 0; i < 600; ++i)
        REQUIRE(map(mapper, Domid(1), i, kAt + i).status == GNTST_okay);
    CHECK(mapper.grants().release_mappings().error() == Errc::erestart); // in pieces
    t.world.destroy(mapper);
    for (u32 i = 0; i < 600; ++i)
        REQUIRE(use_flags(t.granter, i) == 0);
    CHECK(frames.free_count() == free_at_start - 2); // the granter's pages of entries
}

TEST_CASE("a granted page the granter gives up is not reused before it is unmapped")
{
    Two t;
    grant(t.granter, 8, Domid(2), 5);
    const auto op    = map(t.mapper, Domid(1), 8, kAt);
    const Mfn frame  = t.granter.p2m().lookup(Gfn(5)).mfn;
    const u64 before = frames.free_count();
    REQUIRE(t.granter.p2m().remove(Gfn(5), 0));
    const u64 owned = t.granter.owned_frames();
    frames.release(frame, 0, &t.granter.memory());
    CHECK(frames.free_count() == before);
    CHECK(t.granter.owned_frames() == owned); // it counts until it is free
    REQUIRE(unmap(t.mapper, op.handle, kAt) == GNTST_okay);
    CHECK(frames.free_count() == before + 1);
    CHECK(t.granter.owned_frames() == owned - 1);
}

TEST_CASE("an entry that never keeps still is refused or taken, never half-marked")
{
    Two t;
    grant(t.granter, 8, Domid(2), 5);
    grant_entry_v1& hostile_entry = entry(t.granter, 8);
    std::atomic<bool> stop{false};
    std::thread hostile([&] {
        std::atomic_ref word(*reinterpret_cast<u32*>(&hostile_entry));
        while (!stop)
            word.fetch_xor(1u << 15);
    });
    unsigned okay = 0;
    for (unsigned round = 0; round < 20000; ++round) {
        const auto op = map(t.mapper, Domid(1), 8, kAt);
        if (op.status == GNTST_okay) {
            ++okay;
            REQUIRE(unmap(t.mapper, op.handle, kAt) == GNTST_okay);
        } else {
            REQUIRE(op.status == GNTST_general_error);
        }
    }
    stop = true;
    hostile.join();
    CHECK(okay > 0);
    CHECK(use_flags(t.granter, 8) == 0);
}

TEST_CASE("two vCPUs cannot undo one mapping twice")
{
    Two t;
    grant(t.granter, 8, Domid(2), 5);
    for (unsigned round = 0; round < 2000; ++round) {
        const auto op = map(t.mapper, Domid(1), 8, kAt);
        REQUIRE(op.status == GNTST_okay);
        std::atomic<unsigned> successes{0};
        std::thread racer([&] { successes += unmap(t.mapper, op.handle, kAt) == GNTST_okay; });
        successes += unmap(t.mapper, op.handle, kAt) == GNTST_okay;
        racer.join();
        REQUIRE(successes == 1);
    }
    CHECK(use_flags(t.granter, 8) == 0);
}

TEST_CASE("swapping entries")
{
    Two t;
    grant(t.granter, 8, Domid(2), 5);
    grant(t.granter, 9, Domid(2), 6);
    CHECK(t.granter.grants().swap(Grant_ref(8), Grant_ref(512)) == Grant_status::bad_gntref);
    REQUIRE(t.granter.grants().swap(Grant_ref(8), Grant_ref(9)) == Grant_status::okay);
    CHECK(entry(t.granter, 8).frame == 6);
    const auto op = map(t.mapper, Domid(1), 8, kAt);
    CHECK(t.granter.grants().swap(Grant_ref(8), Grant_ref(9)) == Grant_status::eagain);
    REQUIRE(unmap(t.mapper, op.handle, kAt) == GNTST_okay);
}

TEST_CASE("entry pages come on demand, up to the limit, and are seen by others only while they are held")
{
    World world;
    Domain& d = world.make(1);
    CHECK(d.grants().frame_count() == 0);
    const u64 before = frames.free_count();
    CHECK(d.grants().frame(4).error() == Errc::einval);
    const Mfn second = *d.grants().frame(1);
    CHECK(d.grants().frame_count() == 2);
    CHECK(frames.free_count() == before - 2);
    CHECK(*d.grants().frame(1) == second);
    REQUIRE(frames.get_from(second, d.id())); // a toolstack has it mapped
    world.destroy(d);
    CHECK(frames.owner(second) == kNobody);
    frames.put(second);
    CHECK(world.memory.all_free());
}
