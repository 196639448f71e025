// SPDX-License-Identifier: Apache-2.0
//
// The software walk of guest page tables: each paging mode, each permission rule, the accessed and dirty
// bits, and tables that lead out of the guest's memory.
#include "arch/x86/paging/guest_walk.hpp"
#include "exit/guest_translation.hpp"
#include "fakes/memory.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using fakes::Memory;

namespace
{

constexpr u64 kP = 1, kW = 2, kU = 4, kA = 0x20, kD = 0x40, kPs = 0x80;
constexpr u64 kWp = 1 << 16, kPg = 1u << 31, kPse = 1 << 4, kPae = 1 << 5, kLa57 = 1 << 12, kSmap = 1 << 21;
constexpr u64 kLma = 1 << 10;

// What the translation asks the vCPU's CPU.
struct Looked_at {
    const Paging_state& state;
    bool ac;

    [[nodiscard]] bool alignment_check() const { return ac; }
    [[nodiscard]] Paging_state paging() const { return state; }
    [[nodiscard]] bool paging_is(const Paging_state& other) const { return state == other; }
};

// A guest with 2 MiB of memory at guest frame 0, where frame 1 and up are its page tables.
struct Guest {
    Memory memory{4096};
    Unique<P2m> p2m = std::move(*P2m::create(Domid(1), nullptr));
    Mfn ram         = *frames.allocate(9);
    Region_cache regions;
    Walk_trace trace;
    Paging_state paging{kPg | kWp, 0x1000, kPae, kLma, 0};
    bool ac = false;

    Guest()
    {
        frames.assign(ram, 9, Domid(1));
        REQUIRE(p2m->set(Gfn(0), ram, 9, P2m_type::ram));
    }

    u64& entry(u64 gpa) { return *to_virtual<u64>(to_hpa(ram) + gpa); }
    u32& entry32(u64 gpa) { return *to_virtual<u32>(to_hpa(ram) + gpa); }
    Expected<Guest_walk> walk(u64 gva, bool write = false)
    {
        return walk_guest(*p2m, regions, paging, ac, Gva(gva), write, trace);
    }

    // One 4 KiB page at linear 0x7000 -> guest-physical 0x55000 with the rights in `leaf`.
    void map_small(u64 leaf)
    {
        entry(0x1000)         = 0x2000 | kP | kW | kU | kA;
        entry(0x2000)         = 0x3000 | kP | kW | kU | kA;
        entry(0x3000)         = 0x4000 | kP | kW | kU | kA;
        entry(0x4000 + 7 * 8) = 0x55000 | leaf;
    }
};

} // namespace

TEST_CASE("without paging linear is physical")
{
    Guest g;
    g.paging.cr0 = 0;
    CHECK(g.walk(0x12345)->gpa == Gpa(0x12345));
}

TEST_CASE("four levels, and the bits the CPU sets")
{
    Guest g;
    g.map_small(kP | kW);
    REQUIRE(g.walk(0x7123)->gpa == Gpa(0x55123));
    CHECK_FALSE(g.walk(0x7123)->writable); // not dirty yet: a write has to be noted
    CHECK((g.entry(0x4038) & (kA | kD)) == kA);
    REQUIRE(g.walk(0x7123, true)->writable);
    CHECK((g.entry(0x4038) & (kA | kD)) == (kA | kD));
    CHECK(g.walk(0x7123)->writable);
    CHECK_FALSE(g.walk(0x8000));
    CHECK_FALSE(g.walk(0x0000800000000000)); // not canonical
}

TEST_CASE("2 MiB and 1 GiB pages")
{
    Guest g;
    g.entry(0x1000)         = 0x2000 | kP | kW;
    g.entry(0x2000)         = 0x3000 | kP | kW;
    g.entry(0x2000 + 8)     = (1ull << 30) | kP | kW | kPs;
    g.entry(0x3000 + 8 * 5) = 0x600000 | kP | kW | kPs;
    CHECK(g.walk((5ull << 21) + 0x1fffff)->gpa == Gpa(0x7fffff));
    CHECK(g.walk((1ull << 30) + 0x12345678)->gpa == Gpa(0x40000000 + 0x12345678));
    g.entry(0x1000) |= kPs; // no pages of 512 GiB
    CHECK_FALSE(g.walk(5ull << 21));
}

TEST_CASE("five levels")
{
    Guest g;
    g.paging.cr4 |= kLa57;
    g.entry(0x1000 + 8) = 0x2000 | kP | kW;
    g.entry(0x2000)     = 0x3000 | kP | kW;
    g.entry(0x3000)     = 0x55000000 | kP | kPs;
    CHECK(g.walk(1ull << 48)->gpa.value() == (0x55000000 & ~((1ull << 30) - 1)));
    CHECK_FALSE(g.walk(0x0100000000000000));
}

TEST_CASE("rights are those of all levels together")
{
    Guest g;
    SECTION("read-only leaf")
    {
        g.map_small(kP);
        CHECK(g.walk(0x7000));
        CHECK_FALSE(g.walk(0x7000, true));
        g.paging.cr0 &= ~kWp;
        CHECK(g.walk(0x7000, true));
        g.paging.cpl = 3;
        CHECK_FALSE(g.walk(0x7000));
    }
    SECTION("read-only higher up")
    {
        g.map_small(kP | kW | kU);
        g.entry(0x2000) &= ~kW;
        CHECK_FALSE(g.walk(0x7000, true));
        CHECK_FALSE(g.walk(0x7000)->writable);
    }
    SECTION("user pages under SMAP")
    {
        g.map_small(kP | kW | kU);
        g.paging.cr4 |= kSmap;
        CHECK_FALSE(g.walk(0x7000));
        g.ac = true;
        CHECK(g.walk(0x7000));
        g.ac         = false;
        g.paging.cpl = 3;
        CHECK(g.walk(0x7000, true));
    }
    SECTION("supervisor higher up is supervisor")
    {
        g.map_small(kP | kW | kU);
        g.entry(0x1000) &= ~kU;
        g.paging.cr4 |= kSmap;
        CHECK(g.walk(0x7000));
    }
}

TEST_CASE("PAE: the top entries carry no rights")
{
    Guest g;
    g.paging.efer           = 0;
    g.paging.cr3            = 0x1020;
    g.entry(0x1020 + 8)     = 0x2000 | kP;
    g.entry(0x2000 + 8 * 3) = 0x400000 | kP | kW | kPs;
    CHECK(g.walk(0x40000000 + 0x600000 + 5, true)->gpa == Gpa(0x400005));
    CHECK(g.entry(0x1020 + 8) == (0x2000 | kP));
    CHECK_FALSE(g.walk(1ull << 32));
}

TEST_CASE("32-bit paging with 4 MiB pages")
{
    Guest g;
    g.paging.efer             = 0;
    g.paging.cr4              = 0;
    g.entry32(0x1000 + 4 * 1) = 0x2000 | kP | kW;
    g.entry32(0x2000 + 4 * 9) = 0x55000 | kP | kW;
    g.entry32(0x1000 + 4 * 2) = 0x2080 | kP | kW; // bit 7 means nothing without PSE
    CHECK(g.walk(0x409abc, true)->gpa == Gpa(0x55abc));
    CHECK((g.entry32(0x2024) & (kA | kD)) == (kA | kD));
    CHECK(g.walk(0x809abc)->gpa == Gpa(0x55abc));
    g.paging.cr4              = kPse;
    g.entry32(0x1000 + 4 * 3) = 0x01c02000 | kP | kW | kPs;
    CHECK(g.walk(0xc12345)->gpa == Gpa((1ull << 32) + 0x1c00000 + 0x12345));
}

TEST_CASE("tables outside the guest's memory are a fault, not a crash")
{
    Guest g;
    g.map_small(kP);
    g.entry(0x3000) = 0x000ffffffffff000 | kP;
    CHECK(g.walk(0x7000).error() == Errc::efault);
    g.paging.cr3 = 0x40000000;
    CHECK(g.walk(0x7000).error() == Errc::efault);
    REQUIRE(g.p2m->set_identity(Gfn(0x40000), 1, P2m_type::mmio));
    CHECK(g.walk(0x7000).error() == Errc::efault);
}

TEST_CASE("a table page that moves is followed")
{
    Guest g;
    g.map_small(kP | kW);
    REQUIRE(g.walk(0x7000)->gpa == Gpa(0x55000));
    // Another frame takes the place of the last table, which splits the large mapping.
    const Mfn other = *frames.allocate(0);
    frames.assign(other, 0, Domid(1));
    to_virtual<u64>(other)[7] = 0x66000 | kP;
    REQUIRE(g.p2m->set(Gfn(4), other, 0, P2m_type::ram));
    CHECK(g.walk(0x7000)->gpa == Gpa(0x66000));
    REQUIRE(g.p2m->set(Gfn(4), g.ram + 4, 0, P2m_type::ram));
    CHECK(g.walk(0x7000)->gpa == Gpa(0x55000));
    frames.release(other, 0, nullptr);
    REQUIRE(g.p2m->remove(Gfn(0), 9));
    CHECK_FALSE(g.walk(0x7000));
}

TEST_CASE("a remembered walk is used only while everything it depends on is the same")
{
    Guest g;
    g.map_small(kP | kW | kD);
    Guest_translation memory_of;
    const auto locate = [&](u64 gva, bool write = false) {
        return memory_of.locate(*g.p2m, Looked_at{g.paging, g.ac}, Gva(gva), write);
    };
    // What the guest changes it changes while it runs.
    const auto run = [&](const auto& change) {
        memory_of.begin_run();
        change();
    };
    u8* const page = to_virtual<u8>(to_hpa(g.ram) + 0x55000);
    REQUIRE(locate(0x7123) == page + 0x123);
    REQUIRE(locate(0x7456, true) == page + 0x456);

    SECTION("between two runs of the guest one look serves, until the p2m changes")
    {
        g.entry(0x4038) = 0;
        CHECK(locate(0x7123, true) == page + 0x123);
        REQUIRE(g.p2m->set(Gfn(0x55), g.ram + 0x55, 0, P2m_type::grant_ro));
        CHECK(locate(0x7123, true) == nullptr);
        run([] {});
        CHECK(locate(0x7123) == nullptr);
    }
    SECTION("the guest changes its leaf")
    {
        run([&] { g.entry(0x4038) = 0x66000 | kP; });
        CHECK(locate(0x7000) == to_virtual<u8>(to_hpa(g.ram) + 0x66000));
        CHECK(locate(0x7000, true) == nullptr);
    }
    SECTION("the guest unmaps higher up")
    {
        run([&] { g.entry(0x2000) = 0; });
        CHECK(locate(0x7000) == nullptr);
    }
    SECTION("another address space")
    {
        run([&] { g.paging.cr3 = 0x10000; });
        CHECK(locate(0x7000) == nullptr);
    }
    SECTION("user mode")
    {
        run([&] { g.paging.cpl = 3; });
        CHECK(locate(0x7000) == nullptr);
    }
    SECTION("SMAP comes on")
    {
        run([&] { g.entry(0x4038) |= kU; });
        REQUIRE(locate(0x7000));
        run([&] { g.paging.cr4 |= kSmap; });
        CHECK(locate(0x7000) == nullptr);
        run([&] { g.ac = true; });
        CHECK(locate(0x7000));
    }
    SECTION("the page itself becomes read-only to the guest")
    {
        REQUIRE(g.p2m->set(Gfn(0x55), g.ram + 0x55, 0, P2m_type::grant_ro));
        CHECK(locate(0x7000) == page);
        CHECK(locate(0x7000, true) == nullptr);
        REQUIRE(g.p2m->remove(Gfn(0x55), 0));
        CHECK(locate(0x7000) == nullptr);
    }
}

TEST_CASE("memory the hypervisor may have written is known to need scrubbing")
{
    Guest g;
    g.map_small(kP | kW);
    Guest_translation memory_of;
    REQUIRE(memory_of.locate(*g.p2m, Looked_at{g.paging, false}, Gva(0x7000), false));
    CHECK(frames.frame(g.ram + 0x55).detail == 0);
    REQUIRE(memory_of.locate(*g.p2m, Looked_at{g.paging, false}, Gva(0x7000), true));
    CHECK(frames.frame(g.ram + 0x55).detail != 0);
}
