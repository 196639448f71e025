// SPDX-License-Identifier: Apache-2.0
#include "mm/p2m.hpp"
#include "fakes/memory.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <random>

using namespace vmm;
using fakes::Memory;

namespace
{

constexpr Domid kOwner{3};
constexpr Domid kOther{4};

// A guest can advance them by one for each call of HVMOP_flush_tlbs: 32 bits came round within the hour.
static_assert(sizeof(std::declval<const P2m&>().generation()) == 8);
static_assert(sizeof(std::declval<const P2m&>().large_generation()) == 8);

// What the owner's map counts on.
Memory_account account;

Mfn owned(unsigned order, Domid owner = kOwner)
{
    if (owner == kOwner)
        REQUIRE(account.add(bit(order)));
    const Mfn mfn = *frames.allocate(order);
    frames.assign(mfn, order, owner);
    return mfn;
}

// The entry that maps it.
u64* leaf_of(const P2m& p2m, Gfn gfn)
{
    u64 table = p2m.root().value() << kPageShift;
    for (unsigned level = 4;; --level) {
        u64* entry = to_virtual<u64>(Hpa(table + ((gfn.value() >> level_order(level)) & 511) * 8));
        if (Nested_format::is_leaf(*entry, level))
            return entry;
        table = Nested_format::table_address(*entry).value();
    }
}

constexpr u64 kAccessed = bit(5); // AMD's

// What the CPU does on a write: the accessed and dirty bits of the leaf.
void touch(P2m& p2m, Gfn gfn) { *leaf_of(p2m, gfn) |= kAccessed | Nested_format::npt.dirty; }

} // namespace

TEST_CASE("on a CPU that wants it so, large mappings are not executed from")
{
    Memory memory(4096);
    const auto made  = P2m::create(kOwner, &account);
    P2m* const p2m   = made->get();
    P2m::small_code  = true;
    const auto entry = [&](u64 gfn) { return *leaf_of(*p2m, Gfn(gfn)); };
    REQUIRE(p2m->set(Gfn(0x200), owned(kOrder2m), kOrder2m, P2m_type::ram));
    REQUIRE(p2m->set(Gfn(0x400), owned(kOrder2m), kOrder2m, P2m_type::ram));
    REQUIRE(p2m->set(Gfn(0x600), owned(0), 0, P2m_type::ram));
    CHECK_FALSE(Nested_format::is_executable(entry(0x200)));
    CHECK(Nested_format::is_executable(entry(0x600)));
    const u64 before = p2m->generation();
    REQUIRE(p2m->permit_execute(Gfn(0x2a5)));
    CHECK(p2m->generation() != before);
    for (u64 gfn = 0x200; gfn < 0x400; ++gfn)
        CHECK(Nested_format::is_executable(entry(gfn)));
    CHECK(p2m->lookup(Gfn(0x2a5)).order == 0);
    CHECK(p2m->lookup(Gfn(0x400)).order == kOrder2m);
    p2m->set_table_limit(p2m->table_count());
    CHECK_FALSE(p2m->permit_execute(Gfn(0x400)));
    CHECK(p2m->permit_execute(Gfn(0x800))); // nothing there
    const auto dom0 = P2m::create(Domid(0), nullptr);
    REQUIRE((*dom0)->set(Gfn(0x200), owned(kOrder2m, Domid(0)), kOrder2m, P2m_type::ram));
    CHECK(Nested_format::is_executable(*leaf_of(**dom0, Gfn(0x200))));
    P2m::small_code = false;
    CHECK(p2m->permit_execute(Gfn(0x400)));
}

TEST_CASE("what was set is found, with its size and kind")
{
    Memory memory(4096);
    {
        auto p2m        = std::move(*P2m::create(kOwner, &account));
        const Mfn large = owned(9);
        REQUIRE(p2m->set(Gfn(0x200), large, 9, P2m_type::ram));
        const auto at = p2m->lookup(Gfn(0x2ff));
        CHECK(at.mfn == large + 0xff);
        CHECK(at.type == P2m_type::ram);
        CHECK(at.order == 9);
        CHECK_FALSE(at.written);
        CHECK_FALSE(p2m->lookup(Gfn(0x1ff)).present());
        CHECK_FALSE(p2m->lookup(Gfn(0x400)).present());
        CHECK(p2m->max_gfn() == Gfn(0x3ff));
    }
    CHECK(memory.all_free());
}

TEST_CASE("a page inside a superpage can be replaced, and the CPU's notes stay right")
{
    Memory memory(4096);
    auto p2m        = std::move(*P2m::create(kOwner, &account));
    const Mfn large = owned(9);
    REQUIRE(p2m->set(Gfn(0x200), large, 9, P2m_type::ram));
    touch(*p2m, Gfn(0x200));
    const u32 before = p2m->generation();
    REQUIRE(p2m->remove(Gfn(0x210), 0));
    CHECK(p2m->generation() != before);
    frames.release(large + 0x10, 0, &account);
    CHECK_FALSE(p2m->lookup(Gfn(0x210)).present());
    CHECK(p2m->lookup(Gfn(0x211)).mfn == large + 0x11);
    CHECK(p2m->lookup(Gfn(0x211)).written);
    CHECK(p2m->lookup(Gfn(0x211)).order == 0);

    const u32 now = p2m->generation();
    REQUIRE(p2m->set(Gfn(0x210), owned(0), 0, P2m_type::ram));
    CHECK(p2m->generation() == now); // nothing was there: nothing to flush
    CHECK_FALSE(p2m->lookup(Gfn(0x210)).written);
}

TEST_CASE("out of range and misaligned is refused")
{
    Memory memory(64);
    auto p2m = std::move(*P2m::create(kOwner, &account));
    CHECK(p2m->set(Gfn(1), Mfn(512), 9, P2m_type::ram).error() == Errc::einval);
    CHECK(p2m->set(Gfn(512), Mfn(1), 9, P2m_type::ram).error() == Errc::einval);
    CHECK(p2m->set(Gfn(P2m::kLastGfn + 1), Mfn(1), 0, P2m_type::ram).error() == Errc::einval);
    CHECK(p2m->remove(kInvalidGfn, 0).error() == Errc::einval);
    CHECK_FALSE(p2m->lookup(kInvalidGfn).present());
    CHECK_FALSE(p2m->lookup(Gfn(P2m::kLastGfn + 1)).present());
    CHECK(p2m->set_identity(Gfn(P2m::kLastGfn), 2, P2m_type::mmio).error() == Errc::einval);
    CHECK(p2m->set_identity(Gfn(P2m::kLastGfn), 1, P2m_type::mmio));
    CHECK(p2m->lookup(Gfn(P2m::kLastGfn)).mfn == Mfn(P2m::kLastGfn));
}

TEST_CASE("a guest cannot spend the machine's memory on tables")
{
    Memory memory(256);
    auto p2m = std::move(*P2m::create(kOwner, &account, 8));
    u64 set  = 0;
    while (p2m->set(Gfn(set << 30), Mfn(9), 0, P2m_type::mmio))
        ++set;
    CHECK(set == 2); // three tables each below the root
    CHECK(p2m->table_count() <= 8);
}

TEST_CASE("identity ranges use the largest pages and touch nothing else")
{
    Memory memory(64);
    auto p2m = std::move(*P2m::create(kOwner, &account));
    REQUIRE(p2m->set_identity(Gfn(0xc0000 - 3), (1 << 18) + 3, P2m_type::mmio));
    CHECK(p2m->lookup(Gfn(0xc0000 - 3)).mfn == Mfn(0xc0000 - 3));
    CHECK(p2m->lookup(Gfn(0xfffff)).order == 18);
    CHECK(p2m->lookup(Gfn(0xfffff)).mfn == Mfn(0xfffff));
    CHECK_FALSE(p2m->lookup(Gfn(0x100000)).present());
    CHECK_FALSE(p2m->lookup(Gfn(0xc0000 - 4)).present());
}

TEST_CASE("a CPU without 1 GiB leaves gets none")
{
    Memory memory(4096);
    Nested_format::places.largest_leaf = 2;
    const auto p2m                     = std::move(*P2m::create(kOwner, &account));
    REQUIRE(p2m->set_identity(Gfn(0x40000), 0x40000, P2m_type::mmio));
    REQUIRE(p2m->set(Gfn(0x80000), Mfn(0xc0000), 18, P2m_type::mmio));
    Nested_format::places.largest_leaf = 3;
    for (const u64 page : {0x40000u, 0x7ffffu, 0x80000u, 0xbffffu}) {
        const auto at = p2m->lookup(Gfn(page));
        CHECK(at.order == 9);
        CHECK(at.mfn == Mfn(page < 0x80000 ? page : page + 0x40000));
    }
    REQUIRE(p2m->remove(Gfn(0x80000), 18));
    CHECK_FALSE(p2m->lookup(Gfn(0x80000)).present());
    CHECK_FALSE(p2m->lookup(Gfn(0xbffff)).present());
    CHECK(p2m->lookup(Gfn(0x7ffff)).present());
}

TEST_CASE("a page may cover what shows the machine, and only that")
{
    Memory memory(64);
    auto p2m = std::move(*P2m::create(kOwner, &account));
    REQUIRE(p2m->set_identity(Gfn(0xc0000), 1 << 18, P2m_type::mmio));
    const u32 before = p2m->generation();
    REQUIRE(p2m->add_page(Gfn(0xc0001), Mfn(7), P2m_type::grant_rw));
    CHECK(p2m->generation() != before);
    CHECK(p2m->lookup(Gfn(0xc0001)).mfn == Mfn(7));
    CHECK(p2m->lookup(Gfn(0xc0000)).type == P2m_type::mmio);
    CHECK(p2m->lookup(Gfn(0xc0002)).mfn == Mfn(0xc0002));
    CHECK(p2m->add_page(Gfn(0xc0001), Mfn(8), P2m_type::grant_rw).error() == Errc::eexist);
    REQUIRE(p2m->add_page(Gfn(0xc0002), Mfn(8), P2m_type::grant_ro));
    REQUIRE(p2m->remove_page(Gfn(0xc0002), Mfn(8), P2m_type::grant_ro));
    CHECK_FALSE(p2m->lookup(Gfn(0xc0002)).present());
}

TEST_CASE("what is only for a hole replaces nothing")
{
    Memory memory(64);
    auto p2m         = std::move(*P2m::create(kOwner, &account));
    const auto place = [&](u64 gfn, unsigned order) {
        return p2m->set(Gfn(gfn), Mfn(0x40000), order, P2m_type::mmio, P2m::Where::in_hole);
    };
    REQUIRE(p2m->add_page(Gfn(0x203), Mfn(7), P2m_type::grant_rw));
    for (const unsigned order : {2u, 9u, 11u, 18u})
        CHECK(place(align_down(0x203, bit(order)), order).error() == Errc::eexist);
    CHECK(place(0x203, 0).error() == Errc::eexist);
    CHECK(p2m->lookup(Gfn(0x203)).mfn == Mfn(7));
    CHECK_FALSE(p2m->lookup(Gfn(0x200)).present());
    REQUIRE(place(0x204, 2));
    CHECK(place(0x206, 0).error() == Errc::eexist);
    REQUIRE(p2m->remove_page(Gfn(0x203), Mfn(7), P2m_type::grant_rw));
    REQUIRE(p2m->remove(Gfn(0x204), 2));
    REQUIRE(place(0x200, 9)); // of its table nothing is left
    CHECK(place(0x2ff, 0).error() == Errc::eexist);
    CHECK(p2m->lookup(Gfn(0x2ff)).order == 9);
}

TEST_CASE("teardown gives back what is the domain's, and only that")
{
    Memory memory(8192);
    const Mfn others = owned(0, kOther);
    const Mfn shared = *frames.allocate(0);
    frames.share(shared, kOwner);
    {
        auto p2m = std::move(*P2m::create(kOwner, &account));
        REQUIRE(p2m->set(Gfn(0), owned(9), 9, P2m_type::ram));
        REQUIRE(p2m->set(Gfn(512), owned(9), 9, P2m_type::ram));
        touch(*p2m, Gfn(512));
        for (u64 i = 0; i < 3000; ++i)
            REQUIRE(p2m->set(Gfn(0x100000 + 7 * i), owned(0), 0, P2m_type::ram));
        REQUIRE(frames.get_from(others, kOther));
        REQUIRE(p2m->set(Gfn(5000), others, 0, P2m_type::foreign));
        REQUIRE(p2m->set(Gfn(5001), shared, 0, P2m_type::ram));
        REQUIRE(p2m->set_identity(Gfn(0xfee00), 1, P2m_type::mmio));

        CHECK(account.owned() == 1024 + 3000);
        CHECK(p2m->destroy_some().error() == Errc::erestart);
        CHECK(account.owned() < 1024 + 3000);
        while (!p2m->destroy_some()) {
        }
        CHECK(account.owned() == 0);
        // Only what was written needs scrubbing.
        CHECK(frames.dirty_count() < 512 + 3100);
        CHECK(frames.frame(others).holds == 1);
    }
    CHECK(frames.owner(others) == kOther);
    frames.release(others, 0, nullptr);
    frames.put(shared);
    CHECK(memory.all_free());
}

TEST_CASE("random changes agree with a map of frames")
{
    Memory memory(2048);
    auto p2m = std::move(*P2m::create(kOwner, &account));
    std::map<u64, std::pair<u64, P2m_type>> model;
    std::mt19937_64 random(5);
    for (int step = 0; step < 3000; ++step) {
        const unsigned order = std::array{0u, 0u, 3u, 9u, 12u}[random() % 5];
        const u64 gfn        = (random() % 16384) & ~low_bits(order);
        const u64 mfn        = (random() % 1000000) & ~low_bits(order);
        const bool set       = random() % 3 != 0;
        const auto type      = random() % 2 ? P2m_type::grant_rw : P2m_type::mmio;
        REQUIRE((set ? p2m->set(Gfn(gfn), Mfn(mfn), order, type) : p2m->remove(Gfn(gfn), order)).has_value());
        for (u64 i = 0; i < bit(order); ++i) {
            if (set)
                model[gfn + i] = {mfn + i, type};
            else
                model.erase(gfn + i);
        }
        for (int probe = 0; probe < 200; ++probe) {
            const u64 page = random() % 16384;
            const auto at  = p2m->lookup(Gfn(page));
            const auto it  = model.find(page);
            REQUIRE(at.present() == (it != model.end()));
            if (at.present()) {
                REQUIRE(at.mfn.value() == it->second.first);
                REQUIRE(at.type == it->second.second);
            }
        }
    }
}
