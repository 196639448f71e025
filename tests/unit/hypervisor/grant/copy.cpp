// SPDX-License-Identifier: Apache-2.0
//
// GNTTABOP_copy: every combination of ends, ranges, permissions.
#include "granter.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace vmm;
using namespace vmm::test;

namespace
{

struct Three {
    World world;
    Domain& a      = world.make(1);
    Domain& b      = world.make(2);
    Domain& caller = world.make(3);

    Three()
    {
        grant(a, 8, Domid(3), 5, GTF_readonly);
        grant(b, 9, Domid(3), 6);
        for (u64 i = 0; i < kPageSize; ++i)
            guest<u8>(a, 5 << 12)[i] = static_cast<u8>(i * 7);
    }
    s16 copy(const gnttab_copy& op)
    {
        Named_domain source;
        Named_domain destination;
        return static_cast<s16>(caller.grants().copy(op, source, destination));
    }
    bool unused()
    {
        return !(entry(a, 8).flags & (GTF_reading | GTF_writing)) &&
               !(entry(b, 9).flags & (GTF_reading | GTF_writing));
    }
};

gnttab_copy between_grants(u16 from, u16 to, u16 length)
{
    gnttab_copy op{};
    op.source.u.ref  = 8;
    op.source.domid  = 1;
    op.source.offset = from;
    op.dest.u.ref    = 9;
    op.dest.domid    = 2;
    op.dest.offset   = to;
    op.len           = length;
    op.flags         = GNTCOPY_source_gref | GNTCOPY_dest_gref;
    return op;
}

} // namespace

TEST_CASE("bytes go from grant to grant, exactly those asked for")
{
    Three t;
    for (const auto& [from, to, length] :
         {std::array<u16, 3>{0, 0, 4096}, {100, 300, 50}, {4095, 0, 1}, {3, 4093, 3}, {9, 9, 0}}) {
        u8* target = guest<u8>(t.b, 6 << 12);
        std::fill_n(target, kPageSize, u8{0xee});
        REQUIRE(t.copy(between_grants(from, to, length)) == GNTST_okay);
        CHECK(std::equal(target + to, target + to + length, guest<u8>(t.a, 5 << 12) + from));
        CHECK(std::all_of(target, target + to, [](u8 byte) { return byte == 0xee; }));
        CHECK(std::all_of(target + to + length, target + kPageSize, [](u8 byte) { return byte == 0xee; }));
    }
    CHECK(t.unused());
}

TEST_CASE("ranges end with the page")
{
    Three t;
    CHECK(t.copy(between_grants(1, 0, 4096)) == GNTST_bad_copy_arg);
    CHECK(t.copy(between_grants(0, 4096, 1)) == GNTST_bad_copy_arg);
    CHECK(t.copy(between_grants(65535, 0, 65535)) == GNTST_bad_copy_arg);
    CHECK(t.unused());
}

TEST_CASE("own frames are named by number, by their owner only")
{
    Three t;
    gnttab_copy op = between_grants(0, 0, 4096);
    op.flags       = GNTCOPY_source_gref;
    op.dest.u.gmfn = 4;
    op.dest.domid  = DOMID_SELF;
    REQUIRE(t.copy(op) == GNTST_okay);
    CHECK(std::equal(guest<u8>(t.caller, 4 << 12), guest<u8>(t.caller, 5 << 12), guest<u8>(t.a, 5 << 12)));
    op.dest.domid = 3; // even its own number is not DOMID_SELF here
    CHECK(t.copy(op) == GNTST_permission_denied);
    op.dest.domid = 2;
    CHECK(t.copy(op) == GNTST_permission_denied);
    op.dest.domid  = DOMID_SELF;
    op.dest.u.gmfn = 9999;
    CHECK(t.copy(op) == GNTST_bad_page);
    op.dest.u.gmfn = ~0ull;
    CHECK(t.copy(op) == GNTST_bad_page);
    CHECK(t.unused());
}

TEST_CASE("refusals")
{
    Three t;
    gnttab_copy op  = between_grants(0, 0, 8);
    op.source.domid = 77;
    CHECK(t.copy(op) == GNTST_bad_domain);
    op              = between_grants(0, 0, 8);
    op.source.u.ref = 4000;
    CHECK(t.copy(op) == GNTST_bad_gntref);
    op            = between_grants(0, 0, 8);
    op.dest.domid = 1;
    op.dest.u.ref = 8; // granted for reading
    CHECK(t.copy(op) == GNTST_general_error);
    grant(t.b, 9, Domid(1), 6); // not for the caller
    CHECK(t.copy(between_grants(0, 0, 8)) == GNTST_general_error);
    CHECK(t.unused());
}

TEST_CASE("within one page the ranges may overlap")
{
    Three t;
    gnttab_copy op{};
    op.source.u.gmfn = op.dest.u.gmfn = 4;
    op.source.domid = op.dest.domid = DOMID_SELF;
    op.dest.offset                  = 32;
    op.len                          = 1000;
    u8* page                        = guest<u8>(t.caller, 4 << 12);
    for (unsigned i = 0; i < 1000; ++i)
        page[i] = static_cast<u8>(i);
    REQUIRE(t.copy(op) == GNTST_okay);
    for (unsigned i = 0; i < 1000; ++i)
        REQUIRE(page[32 + i] == static_cast<u8>(i));
}

TEST_CASE("what the caller has mapped by a grant counts as its own frame, as far as it may write it")
{
    Three t;
    REQUIRE(map(t.caller, Domid(1), 8, 500, GNTMAP_host_map | GNTMAP_readonly).status == GNTST_okay);
    gnttab_copy op   = between_grants(0, 0, 64);
    op.flags         = GNTCOPY_dest_gref;
    op.source.u.gmfn = 500;
    op.source.domid  = DOMID_SELF;
    CHECK(t.copy(op) == GNTST_okay);
    op.flags       = GNTCOPY_source_gref;
    op.source      = between_grants(0, 0, 64).source;
    op.dest.u.gmfn = 500;
    op.dest.domid  = DOMID_SELF;
    CHECK(t.copy(op) == GNTST_bad_page);
}
