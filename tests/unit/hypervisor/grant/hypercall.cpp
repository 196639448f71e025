// SPDX-License-Identifier: Apache-2.0
//
// The GNTTABOP edge: batches, continuation, single operations, errno values.
#include "exit/guest_memory.hpp"
#include "granter.hpp"

#include <catch2/catch.hpp>

using namespace vmm;
using namespace vmm::test;

namespace
{

constexpr u64 kArg  = 0x8000; // several pages of arguments from here
constexpr u64 kHole = 0x7000'0000;

// RAX as the guest would see it, with the instruction executed again as often as asked.
s64 call(Domain& d, u64 cmd, u64 count, u64 arg = kArg, unsigned* rounds = nullptr)
{
    Hypercall_args args{{cmd, arg, count, 0, 0}};
    for (;;) {
        const Hypercall_result result = do_grant_table_op(*d.vcpu(0), args);
        if (result)
            return static_cast<s64>(*result);
        if (result.error() != Errc::erestart)
            return -static_cast<s64>(result.error());
        if (rounds)
            ++*rounds;
    }
}

// The guest's arguments lie in pages that need not follow each other.
template <class T>
T& arg(Domain& d, u64 index = 0)
{
    return *guest<T>(d, kArg + index * sizeof(T));
}

template <class T>
void put(Domain& d, u64 index, const T& value)
{
    REQUIRE(copy_to_guest(*d.vcpu(0), Gva(kArg + index * sizeof(T)), &value, sizeof value));
}
template <class T>
T get(Domain& d, u64 index)
{
    return *read_guest_element<T>(*d.vcpu(0), Gva(kArg), index);
}

} // namespace

TEST_CASE("bad pointers, counts and commands")
{
    World world;
    Domain& d = world.make(1);
    for (const u64 cmd :
         {GNTTABOP_map_grant_ref, GNTTABOP_unmap_grant_ref, GNTTABOP_setup_table, GNTTABOP_copy,
          GNTTABOP_query_size, GNTTABOP_set_version, GNTTABOP_get_version, GNTTABOP_swap_grant_ref})
        CHECK(call(d, cmd, 1, kHole) == -XEN_EFAULT);
    CHECK(call(d, 13, 1) == -XEN_ENOSYS);
    CHECK(call(d, GNTTABOP_map_grant_ref, 0x80000000) == -XEN_EINVAL);
    CHECK(call(d, GNTTABOP_map_grant_ref, 0, kHole) == 0);
    CHECK(call(d, GNTTABOP_query_size, 2) == -XEN_EINVAL);
    CHECK(call(d, GNTTABOP_setup_table, 0) == -XEN_EINVAL);
}

TEST_CASE("a batch longer than one call is continued, and each operation has its own status")
{
    World world;
    Domain& granter = world.make(1);
    Domain& mapper  = world.make(2);
    for (u32 i = 0; i < 300; ++i) {
        if (i != 200)
            grant(granter, i, Domid(2), i % 64);
        gnttab_map_grant_ref op{};
        op.host_addr = (1000ull + i) << 12;
        op.flags     = GNTMAP_host_map;
        op.ref       = i;
        op.dom       = 1;
        put(mapper, i, op);
    }
    unsigned rounds = 0;
    REQUIRE(call(mapper, GNTTABOP_map_grant_ref, 300, kArg, &rounds) == 0);
    CHECK(rounds >= 2);
    std::vector<u32> handles;
    for (u32 i = 0; i < 300; ++i) {
        const auto op = get<gnttab_map_grant_ref>(mapper, i);
        CHECK(op.status == (i == 200 ? GNTST_general_error : GNTST_okay));
        handles.push_back(op.handle);
    }
    for (u32 i = 0; i < 300; ++i)
        put(mapper, i, gnttab_unmap_grant_ref{(1000ull + i) << 12, 0, handles[i], 0});
    REQUIRE(call(mapper, GNTTABOP_unmap_grant_ref, 300) == 0);
    for (u32 i = 0; i < 300; ++i)
        CHECK((get<gnttab_unmap_grant_ref>(mapper, i).status == GNTST_okay) == (i != 200));
}

TEST_CASE("an array that runs into a hole fails as a whole call")
{
    World world;
    Domain& d           = world.make(1);
    const u64 last_page = 63ull << 12;
    CHECK(call(d, GNTTABOP_unmap_grant_ref, 1000, last_page) == -XEN_EFAULT);
}

TEST_CASE("sizes and versions")
{
    World world;
    Domain& control           = world.make(0, true);
    Domain& d                 = world.make(1);
    arg<gnttab_query_size>(d) = {DOMID_SELF, 0, 0, 77};
    REQUIRE(call(d, GNTTABOP_query_size, 1) == 0);
    CHECK(arg<gnttab_query_size>(d).status == GNTST_okay);
    CHECK(arg<gnttab_query_size>(d).max_nr_frames == 4);
    arg<gnttab_query_size>(d) = {0, 0, 0, 77};
    REQUIRE(call(d, GNTTABOP_query_size, 1) == 0);
    CHECK(arg<gnttab_query_size>(d).status == GNTST_permission_denied);
    arg<gnttab_query_size>(control) = {55, 0, 0, 77};
    REQUIRE(call(control, GNTTABOP_query_size, 1) == 0);
    CHECK(arg<gnttab_query_size>(control).status == GNTST_bad_domain);

    arg<gnttab_set_version>(d).version = 1;
    CHECK(call(d, GNTTABOP_set_version, 1) == 0);
    arg<gnttab_set_version>(d).version = 2;
    CHECK(call(d, GNTTABOP_set_version, 1) == -XEN_ENOSYS);
    CHECK(arg<gnttab_set_version>(d).version == 1);
    arg<gnttab_set_version>(d).version = 3;
    CHECK(call(d, GNTTABOP_set_version, 1) == -XEN_EINVAL);
    arg<gnttab_get_version>(d) = {DOMID_SELF, 0, 0};
    CHECK(call(d, GNTTABOP_get_version, 1) == 0);
    CHECK(arg<gnttab_get_version>(d).version == 1);
    arg<gnttab_get_version>(d) = {0, 0, 0};
    CHECK(call(d, GNTTABOP_get_version, 1) == -XEN_EPERM);
    arg<gnttab_get_version>(d) = {55, 0, 0};
    CHECK(call(d, GNTTABOP_get_version, 1) == -XEN_ESRCH);
}

TEST_CASE("setup_table grows the table and tells where its pages are")
{
    World world;
    Domain& d = world.make(1);
    gnttab_setup_table op{};
    op.dom          = DOMID_SELF;
    op.nr_frames    = 2;
    op.frame_list.p = reinterpret_cast<decltype(op.frame_list.p)>(kArg + 0x1000);
    d.grants().set_frame_gfn(1, Gfn(42));
    put(d, 0, op);
    REQUIRE(call(d, GNTTABOP_setup_table, 1) == 0);
    CHECK(arg<gnttab_setup_table>(d).status == GNTST_okay);
    CHECK(d.grants().frame_count() == 2);
    CHECK(guest<u64>(d, kArg + 0x1000)[0] == ~0ull); // nowhere yet
    CHECK(guest<u64>(d, kArg + 0x1000)[1] == 42);
    op.frame_list.p = reinterpret_cast<decltype(op.frame_list.p)>(kHole);
    put(d, 0, op);
    REQUIRE(call(d, GNTTABOP_setup_table, 1) == 0);
    CHECK(arg<gnttab_setup_table>(d).status == GNTST_bad_virt_addr);
    op.nr_frames = 5;
    put(d, 0, op);
    REQUIRE(call(d, GNTTABOP_setup_table, 1) == 0);
    CHECK(arg<gnttab_setup_table>(d).status == GNTST_general_error);
}

TEST_CASE("what HVM guests do not have")
{
    World world;
    Domain& d = world.make(1);
    for (const u64 cmd : {GNTTABOP_dump_table, GNTTABOP_transfer, GNTTABOP_unmap_and_replace,
                          GNTTABOP_get_status_frames, GNTTABOP_cache_flush})
        CHECK(call(d, cmd, 1) == -XEN_ENOSYS);
}
