// SPDX-License-Identifier: Apache-2.0
#include "fakes/memory.hpp"
#include "mm/p2m.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <set>

using namespace vmm;
using fakes::Memory;

namespace
{

constexpr Domid kOwner{3};
constexpr u64 kRegion = P2m::kRegionFrames;

using Frames = std::set<u64>;

struct Logged {
    explicit Logged(u64 frame_count = 16384) : memory(frame_count)
    {
        p2m = std::move(*P2m::create(kOwner, &account));
    }
    ~Logged()
    {
        p2m = Unique<P2m>();
        CHECK(memory.all_free());
    }

    Mfn give(u64 gfn, unsigned order)
    {
        REQUIRE(account.add(bit(order)));
        const Mfn mfn = *frames.allocate(order);
        frames.assign(mfn, order, kOwner);
        REQUIRE(p2m->set(Gfn(gfn), mfn, order, P2m_type::ram));
        return mfn;
    }
    void take(u64 gfn)
    {
        const P2m_entry was = p2m->lookup(Gfn(gfn));
        REQUIRE(p2m->remove(Gfn(gfn), 0));
        frames.release(was.mfn, 0, &account, was.written);
    }
    u64& leaf(u64 gfn)
    {
        u64 table = p2m->root().value() << kPageShift;
        for (unsigned level = 4;; --level) {
            u64* entry = to_virtual<u64>(Hpa(table + ((gfn >> level_order(level)) & 511) * 8));
            if (Nested_format::is_leaf(*entry, level))
                return *entry;
            table = Nested_format::table_address(*entry).value();
        }
    }
    // What the CPU does on a write; true when that takes an exit first.
    bool write(u64 gfn)
    {
        const bool exits = (leaf(gfn) & Nested_format::places.writable) == 0;
        if (exits)
            p2m->permit_write(Gfn(gfn));
        CHECK((leaf(gfn) & Nested_format::places.writable) != 0);
        leaf(gfn) |= Nested_format::places.dirty;
        return exits;
    }
    template <class Visit>
    void each_region(Visit visit)
    {
        for (u64 at = 0; at <= p2m->max_gfn().value(); at += kRegion) {
            if (p2m->silent_frames(Gfn(at)) == 0)
                visit(Gfn(at));
        }
    }
    void start()
    {
        p2m->start_log();
        each_region([&](Gfn region) { REQUIRE(p2m->prepare_log(region)); });
    }
    void stop()
    {
        p2m->stop_log();
        each_region([&](Gfn region) { p2m->restore_after_log(region); });
    }
    Frames read(P2m::Log_access access = P2m::Log_access::take)
    {
        Frames all;
        each_region([&](Gfn region) {
            P2m::Region_log log;
            p2m->read_log(region, access, log);
            for (u64 i = 0; i < kRegion; ++i) {
                if ((log[i / 64] >> (i % 64) & 1) != 0)
                    all.insert(region.value() + i);
            }
        });
        return all;
    }

    Memory memory;
    Memory_account account;
    Unique<P2m> p2m;
};

// A CPU with dirty flags of either vendor, and one without.
const Nested_format::Places kEveryCpu[] = {
    Nested_format::npt,
    Nested_format::ept,
    [] {
        auto places  = Nested_format::ept;
        places.dirty = 0;
        places.log   = places.writable;
        return places;
    }(),
};

struct On_cpu {
    explicit On_cpu(const Nested_format::Places& cpu) : before(std::exchange(Nested_format::places, cpu)) {}
    ~On_cpu() { Nested_format::places = before; }
    Nested_format::Places before;
};

Frames range(u64 first, u64 count)
{
    Frames all;
    for (u64 i = 0; i < count; ++i)
        all.insert(first + i);
    return all;
}

} // namespace

TEST_CASE("what the CPU wrote is found once, page by page")
{
    for (const auto& cpu : kEveryCpu) {
        const On_cpu on(cpu);
        Logged t;
        t.give(0x200, 9);
        t.give(7, 0);
        t.write(0x210);
        t.start();
        CHECK(t.p2m->lookup(Gfn(0x200)).order == 0);
        CHECK(t.read().empty()); // what was written before is forgotten

        const bool exits = Nested_format::logs_by_rights();
        const u32 before = t.p2m->generation();
        CHECK(t.write(0x211) == exits);
        CHECK_FALSE(t.write(0x211)); // one exit is all it may take
        t.write(7);
        CHECK(t.p2m->generation() == before);
        CHECK(t.read(P2m::Log_access::peek) == Frames{7, 0x211});
        CHECK(t.p2m->generation() == before);
        CHECK(t.read() == Frames{7, 0x211});
        CHECK(t.p2m->generation() != before); // CPUs have to note the next write again
        CHECK(t.read().empty());
        CHECK(t.write(7) == exits);
        CHECK(t.read() == Frames{7});
    }
}

TEST_CASE("for the hypervisor a page that is logged is as writable as before")
{
    for (const auto& cpu : kEveryCpu) {
        const On_cpu on(cpu);
        Logged t;
        const Mfn mfn = t.give(5, 0);
        t.start();
        P2m::Cursor cursor;
        CHECK(t.p2m->ram_frame(Gfn(5), cursor) == mfn);
        CHECK(is_writable(t.p2m->lookup(Gfn(5)).type));
    }
}

TEST_CASE("what others wrote counts, for as long as they may write")
{
    Logged t;
    const Mfn mfn = t.give(5, 0);
    t.give(6, 0);
    t.start();
    frames.mark_written(mfn);
    CHECK(t.read(P2m::Log_access::peek) == Frames{5});
    CHECK(t.read() == Frames{5});
    CHECK(t.read().empty());
    REQUIRE(frames.get_from(mfn, kOwner)); // a mapping
    CHECK(t.read() == Frames{5});
    CHECK(t.read() == Frames{5});
    frames.put(mfn); // which was only read by
    CHECK(t.read().empty());
}

TEST_CASE("that somebody only looked at a page through a foreign mapping is known on every CPU")
{
    for (const auto& cpu : kEveryCpu) {
        const On_cpu on(cpu);
        Logged t;
        REQUIRE(t.p2m->set(Gfn(9), Mfn(77), 0, P2m_type::foreign));
        CHECK_FALSE(t.p2m->lookup(Gfn(9)).written);
        CHECK(t.write(9) == Nested_format::logs_by_rights());
        CHECK(t.p2m->lookup(Gfn(9)).written);
        REQUIRE(t.p2m->remove(Gfn(9), 0));
    }
}

TEST_CASE("what comes and what goes is told")
{
    for (const auto& cpu : kEveryCpu) {
        const On_cpu on(cpu);
        Logged t;
        t.give(0x200, 9);
        t.give(7, 0);
        t.start();
        t.give(8, 0);
        t.take(7);
        CHECK(t.read(P2m::Log_access::peek) == Frames{7, 8});
        CHECK(t.read() == Frames{7, 8});
        CHECK(t.read().empty());

        t.give(0x400, 9);
        CHECK(t.read() == range(0x400, kRegion));
        t.write(0x410);
        CHECK(t.read() == Frames{0x410}); // it is small by now

        const P2m_entry was = t.p2m->lookup(Gfn(0x200));
        REQUIRE(t.p2m->remove(Gfn(0x200), 9));
        frames.release(was.mfn, 9, &t.account);
        t.give(0x203, 0); // one comes back before anybody asked
        CHECK(t.read() == range(0x200, kRegion));
        CHECK(t.read().empty());
        CHECK(t.p2m->lookup(Gfn(0x203)).present());
        CHECK_FALSE(t.p2m->lookup(Gfn(0x204)).present());
    }
}

TEST_CASE("without room for a table there is no log, and a large page that comes later counts as written")
{
    Logged t;
    t.give(0x200, 9);
    t.p2m->set_table_limit(t.p2m->table_count());
    t.p2m->start_log();
    CHECK(t.p2m->prepare_log(Gfn(0x200)).error() == Errc::enomem);
    CHECK(t.p2m->lookup(Gfn(0x200)).order == 9);
    CHECK(t.read() == range(0x200, kRegion));
    CHECK(t.read() == range(0x200, kRegion));
    t.stop();
}

TEST_CASE("afterwards large pages are large again, and count as written")
{
    for (const auto& cpu : kEveryCpu) {
        const On_cpu on(cpu);
        Logged t;
        const Mfn whole = t.give(0x200, 9);
        t.give(0x400, 9);
        t.give(0x600, 9);
        const u64 tables = t.p2m->table_count();
        t.start();
        CHECK(t.p2m->table_count() == tables + 3);
        t.take(0x433);
        t.take(0x601);
        t.give(0x800, 0);
        t.give(0x601, 0); // another frame, even if what was free last is taken first
        t.write(0x234);
        const u32 before = t.p2m->large_generation();
        t.stop();
        CHECK(t.p2m->large_generation() != before);
        CHECK(t.p2m->table_count() == tables + 3); // two stay, and one is for 0x800
        const P2m_entry at = t.p2m->lookup(Gfn(0x234));
        CHECK(at.order == 9);
        CHECK(at.mfn == whole + 0x34);
        CHECK(t.p2m->lookup(Gfn(0x400)).order == 0);
        CHECK(t.p2m->lookup(Gfn(0x600)).order == 0);
        CHECK_FALSE(t.p2m->lookup(Gfn(0x433)).present());
        for (const u64 gfn : {0x200u, 0x400u, 0x601u})
            CHECK_FALSE(t.write(gfn)); // no exits any more
        const u64 dirty = frames.dirty_count();
        REQUIRE(t.p2m->remove(Gfn(0x200), 9));
        frames.release(whole, 9, &t.account, false);
        CHECK(frames.dirty_count() == dirty + kRegion);
    }
}

TEST_CASE("random writes, pages that come and go, and looks agree with a model")
{
    for (const auto& cpu : kEveryCpu) {
        const On_cpu on(cpu);
        Logged t;
        std::mt19937_64 random(11);
        Frames present = range(0x200, 2 * kRegion);
        t.give(0x200, 9);
        t.give(0x400, 9);
        t.start();
        Frames model;
        for (int step = 0; step < 4000; ++step) {
            const u64 gfn = 0x200 + random() % (3 * kRegion);
            const bool is = present.contains(gfn);
            switch (random() % 8) {
            case 0:
                if (is)
                    t.take(gfn);
                else
                    t.give(gfn, 0);
                is ? static_cast<void>(present.erase(gfn)) : static_cast<void>(present.insert(gfn));
                model.insert(gfn);
                break;
            case 1:
                if (is) {
                    frames.mark_written(t.p2m->lookup(Gfn(gfn)).mfn);
                    model.insert(gfn);
                }
                break;
            default:
                if (is) {
                    t.write(gfn);
                    model.insert(gfn);
                }
            }
            if (step % 97 == 0) {
                REQUIRE(t.read(P2m::Log_access::peek) == model);
                REQUIRE(t.read() == model);
                model.clear();
            }
        }
        t.stop();
        for (u64 gfn = 0x200; gfn < 0x200 + 3 * kRegion; ++gfn)
            REQUIRE(t.p2m->lookup(Gfn(gfn)).present() == present.contains(gfn));
    }
}
