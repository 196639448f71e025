// SPDX-License-Identifier: Apache-2.0
//
// The XENMEM_* edge: numbers, errors, who may do what to whom, and continuation.
#include "world.hpp"

#include "exit/guest_memory.hpp"
#include "mm/reservation.hpp"

#include <catch2/catch.hpp>

#include <xen/memory.h>

using namespace vmm;
using namespace vmm::test;

namespace
{

constexpr u64 kArg  = 0x8000;
constexpr u64 kList = 0x9000;
constexpr u64 kHole = 0x70000000;

s64 call(Domain& d, u64 command, u64 argument = kArg, unsigned* rounds = nullptr)
{
    Hypercall_args args{{command, argument, 0, 0, 0}};
    for (;;) {
        const Hypercall_result result = do_memory_op(*d.vcpu(0), args);
        if (result)
            return static_cast<s64>(*result);
        if (result.error() != Errc::erestart)
            return -static_cast<s64>(result.error());
        if (rounds)
            ++*rounds;
    }
}

template <class T>
T& arg(Domain& d)
{
    return *guest<T>(d, kArg);
}

template <class T>
void list(Domain& d, u64 index, T value)
{
    REQUIRE(copy_to_guest(*d.vcpu(0), Gva(kList + index * sizeof(T)), &value, sizeof value));
}

void reservation(Domain& d, u16 domid, u64 count, unsigned order = 0, unsigned flags = 0)
{
    auto& r          = arg<xen_memory_reservation>(d);
    r                = {};
    r.nr_extents     = count;
    r.extent_order   = order;
    r.mem_flags      = flags;
    r.domid          = domid;
    r.extent_start.p = reinterpret_cast<xen_pfn_t*>(kList);
}

} // namespace

TEST_CASE("populate and decrease tell how many extents they did")
{
    World world;
    Domain& d       = world.make(1);
    const u64 owned = d.owned_frames();
    for (u64 i = 0; i < 3; ++i)
        list<xen_pfn_t>(d, i, 0x1000 + i);
    reservation(d, DOMID_SELF, 3);
    CHECK(call(d, XENMEM_populate_physmap) == 3);
    CHECK(d.owned_frames() == owned + 3);
    list<xen_pfn_t>(d, 1, 0x2000); // a hole: the second cannot be given back
    CHECK(call(d, XENMEM_decrease_reservation) == 1);
    CHECK(d.owned_frames() == owned + 2);
    reservation(d, 1, 1);
    list<xen_pfn_t>(d, 0, 0x1001);
    CHECK(call(d, XENMEM_decrease_reservation) == 1); // by its own number as well
    CHECK(call(d, XENMEM_increase_reservation) == 0);
}

TEST_CASE("a long list is done in several rounds")
{
    World world;
    Domain& d       = world.make(1);
    const u64 owned = d.owned_frames();
    for (u64 i = 0; i < 400; ++i)
        list<xen_pfn_t>(d, i, 0x1000 + i);
    reservation(d, DOMID_SELF, 400);
    unsigned rounds = 0;
    CHECK(call(d, XENMEM_populate_physmap, kArg, &rounds) == 400);
    CHECK(rounds >= 4);
    CHECK(d.owned_frames() == owned + 400);
    CHECK(call(d, XENMEM_decrease_reservation) == 400);
    CHECK(d.owned_frames() == owned);
}

TEST_CASE("reservations that make no sense do nothing and say so by their count")
{
    World world;
    Domain& d = world.make(1);
    world.make(2);
    list<xen_pfn_t>(d, 0, 0x1000);
    const auto populates = [&](u16 domid, u64 count, unsigned order, unsigned flags) {
        reservation(d, domid, count, order, flags);
        return call(d, XENMEM_populate_physmap);
    };
    CHECK(populates(DOMID_SELF, 0, 0, 0) == 0);
    CHECK(populates(DOMID_SELF, 1, 10, 0) == 0); // more than 2 MiB
    CHECK(populates(DOMID_SELF, 1, 0, XENMEMF_address_bits(12)) == 0);
    CHECK(populates(DOMID_SELF, ~0ull, 0, 0) == 0);
    CHECK(populates(2, 1, 0, 0) == 0);
    CHECK(populates(7, 1, 0, 0) == 0);
    CHECK(call(d, XENMEM_populate_physmap, kHole) == 0);
    CHECK(call(d, XENMEM_populate_physmap | 5 << 6, kHole) == 5);
    reservation(d, DOMID_SELF, 1);
    arg<xen_memory_reservation>(d).extent_start.p = reinterpret_cast<xen_pfn_t*>(kHole);
    CHECK(call(d, XENMEM_populate_physmap) == 0);
    CHECK(populates(DOMID_SELF, 1, 0, XENMEMF_address_bits(40)) == 1);
}

TEST_CASE("the control domain changes others, in larger pieces")
{
    World world(8192);
    Domain& control = world.make(0, true);
    Domain& d       = world.make(1);
    const u64 owned = d.owned_frames();
    list<xen_pfn_t>(control, 0, 0x1000);
    reservation(control, 1, 1, 10);
    CHECK(call(control, XENMEM_populate_physmap) == 1);
    CHECK(d.owned_frames() == owned + 1024);
    CHECK(d.p2m().lookup(Gfn(0x1000)).order == 9);
    arg<xen_memory_domain>(control).domid = 1;
    CHECK(call(control, XENMEM_current_reservation) == static_cast<s64>(owned + 1024));
    CHECK(call(control, XENMEM_maximum_gpfn) == 0x13ff);
}

TEST_CASE("numbers are told to who may know them")
{
    World world;
    Domain& d = world.make(1);
    world.make(2);
    d.set_max_frames(1234);
    arg<xen_memory_domain>(d).domid = DOMID_SELF;
    CHECK(call(d, XENMEM_current_reservation) == 64);
    CHECK(call(d, XENMEM_maximum_reservation) == 1234);
    CHECK(call(d, XENMEM_maximum_gpfn) == 63);
    CHECK(call(d, XENMEM_maximum_ram_page) == 4096);
    CHECK(call(d, XENMEM_maximum_ram_page | 1 << 6) == -XEN_EINVAL);
    arg<xen_memory_domain>(d).domid = 2;
    CHECK(call(d, XENMEM_current_reservation) == -XEN_EPERM);
    arg<xen_memory_domain>(d).domid = 9;
    CHECK(call(d, XENMEM_current_reservation) == -XEN_ESRCH);
    CHECK(call(d, XENMEM_current_reservation, kHole) == -XEN_EFAULT);
    CHECK(call(d, XENMEM_get_sharing_freed_pages) == 0);
    CHECK(call(d, XENMEM_machine_memory_map) == -XEN_ENOSYS);
    CHECK(call(d, 63) == -XEN_ENOSYS);
}

TEST_CASE("shared_info and grant frames are placed where the guest asks")
{
    World world;
    Domain& d = world.make(1);
    auto& op  = arg<xen_add_to_physmap>(d);
    op        = {DOMID_SELF, 0, XENMAPSPACE_shared_info, 0, 5};
    CHECK(call(d, XENMEM_add_to_physmap) == 0);
    CHECK(guest<void>(d, 0x5000) == static_cast<void*>(d.shared()));
    op = {DOMID_SELF, 0, XENMAPSPACE_shared_info, 1, 5};
    CHECK(call(d, XENMEM_add_to_physmap) == -XEN_EINVAL);
    op = {DOMID_SELF, 0, XENMAPSPACE_grant_table, 1, 0x40000};
    CHECK(call(d, XENMEM_add_to_physmap) == 0);
    CHECK(d.p2m().lookup(Gfn(0x40000)).mfn == *d.grants().frame(1));
    op = {DOMID_SELF, 0, XENMAPSPACE_grant_table, 4, 0x40000}; // beyond its limit
    CHECK(call(d, XENMEM_add_to_physmap) == -XEN_EINVAL);
    op = {DOMID_SELF, 0, XENMAPSPACE_gmfn, 6, 0x50000};
    CHECK(call(d, XENMEM_add_to_physmap) == 0);
    CHECK(d.p2m().lookup(Gfn(0x50000)).present());
    CHECK_FALSE(d.p2m().lookup(Gfn(6)).present());
    op = {DOMID_SELF, 0, XENMAPSPACE_gmfn, 5, ~0ull};
    CHECK(call(d, XENMEM_add_to_physmap) == -XEN_EINVAL);
    op = {DOMID_SELF, 0, XENMAPSPACE_gmfn_foreign, 5, 6};
    CHECK(call(d, XENMEM_add_to_physmap) == -XEN_ENOSYS);
    op = {DOMID_SELF, 0, XENMAPSPACE_dev_mmio, 5, 6};
    CHECK(call(d, XENMEM_add_to_physmap) == -XEN_EACCES);
    op = {DOMID_SELF, 0, 77, 5, 6};
    CHECK(call(d, XENMEM_add_to_physmap) == -XEN_EINVAL);
    op = {0, 0, XENMAPSPACE_gmfn, 5, 6};
    CHECK(call(d, XENMEM_add_to_physmap) == -XEN_ESRCH);
}

TEST_CASE("a range moves in rounds")
{
    World world;
    Domain& d                  = world.make(1, false, {.pages = 512});
    arg<xen_add_to_physmap>(d) = {DOMID_SELF, 200, XENMAPSPACE_gmfn_range, 100, 0x9000};
    unsigned rounds            = 0;
    CHECK(call(d, XENMEM_add_to_physmap, kArg, &rounds) == 0);
    CHECK(rounds >= 2);
    CHECK_FALSE(d.p2m().lookup(Gfn(100)).present());
    CHECK_FALSE(d.p2m().lookup(Gfn(299)).present());
    CHECK(d.p2m().lookup(Gfn(0x9000 + 199)).present());
    arg<xen_add_to_physmap>(d) = {DOMID_SELF, 2, XENMAPSPACE_gmfn_range, ~0ull, 0x9000};
    CHECK(call(d, XENMEM_add_to_physmap) == -XEN_EOVERFLOW);
}

TEST_CASE("foreign pages: only for the control domain, with an error for each")
{
    World world;
    Domain& control  = world.make(0, true);
    Domain& d        = world.make(1);
    const auto batch = [](Domain& who, u16 owner) {
        auto& op           = arg<xen_add_to_physmap_batch>(who);
        op                 = {};
        op.domid           = DOMID_SELF;
        op.space           = XENMAPSPACE_gmfn_foreign;
        op.size            = 2;
        op.u.foreign_domid = owner;
        op.idxs.p          = reinterpret_cast<xen_ulong_t*>(kList);
        op.gpfns.p         = reinterpret_cast<xen_pfn_t*>(kList + 0x100);
        op.errs.p          = reinterpret_cast<int*>(kList + 0x200);
        list<u64>(who, 0, 5);
        list<u64>(who, 1, 0x7777); // not there
        list<u64>(who, 0x20, 0x1000);
        list<u64>(who, 0x21, 0x1001);
        const s64 rc = call(who, XENMEM_add_to_physmap_batch);
        return std::array<s64, 3>{rc, guest<int>(who, kList + 0x200)[0], guest<int>(who, kList + 0x200)[1]};
    };
    CHECK(batch(control, 1) == std::array<s64, 3>{0, 0, -XEN_EINVAL});
    CHECK(control.p2m().lookup(Gfn(0x1000)).mfn == d.p2m().lookup(Gfn(5)).mfn);
    CHECK(batch(control, 9) == std::array<s64, 3>{0, -XEN_ESRCH, -XEN_ESRCH});
    CHECK(batch(control, 0) == std::array<s64, 3>{0, -XEN_EPERM, -XEN_EPERM});
    CHECK(batch(d, 0) == std::array<s64, 3>{0, -XEN_EPERM, -XEN_EPERM});

    arg<xen_remove_from_physmap>(control) = {DOMID_SELF, 0x1000};
    CHECK(call(control, XENMEM_remove_from_physmap) == 0);
    CHECK(call(control, XENMEM_remove_from_physmap) == -XEN_ENOENT);
    CHECK(frames.holds(d.p2m().lookup(Gfn(5)).mfn) == 1);
    arg<xen_remove_from_physmap>(d) = {0, 0x1000};
    CHECK(call(d, XENMEM_remove_from_physmap) == -XEN_EPERM);
}

TEST_CASE("grant frames of another domain are a resource of the control domain's")
{
    World world;
    Domain& control = world.make(0, true);
    Domain& d       = world.make(1);
    auto& op        = arg<xen_mem_acquire_resource>(control);
    const auto ask  = [&](u16 domid, u32 count, u64 frame, u16 type = XENMEM_resource_grant_table) {
        op              = {};
        op.domid        = domid;
        op.type         = type;
        op.nr_frames    = count;
        op.frame        = frame;
        op.frame_list.p = count == 0 ? nullptr : reinterpret_cast<xen_pfn_t*>(kList);
        return call(control, XENMEM_acquire_resource);
    };
    list<u64>(control, 0, 0x1000);
    list<u64>(control, 1, 0x1001);
    CHECK(ask(1, 0, 0) == 0);
    CHECK(op.nr_frames == 4);
    CHECK(ask(1, 2, 0) == 0);
    CHECK(control.p2m().lookup(Gfn(0x1001)).mfn == *d.grants().frame(1));
    CHECK(ask(1, 2, 3) == -XEN_EINVAL);
    CHECK(ask(1, 2, 1ull << 32) == -XEN_EINVAL);
    CHECK(ask(1, 1, 0, 5) == -XEN_EINVAL);
    CHECK(ask(9, 1, 0) == -XEN_ESRCH);
    CHECK(ask(0, 1, 0) == -XEN_EPERM);
    CHECK(call(d, XENMEM_acquire_resource) == -XEN_EACCES);
    // The pages outlive the domain for as long as they are mapped.
    const Mfn frame = control.p2m().lookup(Gfn(0x1000)).mfn;
    world.destroy(d);
    CHECK(frames.holds(frame) == 1);
}

TEST_CASE("the memory map is what the toolstack left")
{
    World world;
    Domain& control        = world.make(0, true);
    Domain& d              = world.make(1);
    arg<xen_memory_map>(d) = {8, {reinterpret_cast<void*>(kList)}};
    CHECK(call(d, XENMEM_memory_map) == -XEN_ENOSYS);

    const E820_entry entries[] = {{0, 0x100000, 1}, {0xfc000000, 0x1000, 3}};
    REQUIRE(copy_to_guest(*control.vcpu(0), Gva(kList), entries, sizeof entries));
    arg<xen_foreign_memory_map>(control) = {1, {2, {reinterpret_cast<void*>(kList)}}};
    CHECK(call(control, XENMEM_set_memory_map) == 0);
    CHECK(call(d, XENMEM_memory_map) == 0);
    CHECK(arg<xen_memory_map>(d).nr_entries == 2);
    CHECK(guest<E820_entry>(d, kList)[1].address == 0xfc000000);
    arg<xen_memory_map>(d).nr_entries = 1;
    CHECK(call(d, XENMEM_memory_map) == 0);
    CHECK(arg<xen_memory_map>(d).nr_entries == 1);

    arg<xen_foreign_memory_map>(control).map.nr_entries = 1025;
    CHECK(call(control, XENMEM_set_memory_map) == -XEN_EINVAL);
    arg<xen_foreign_memory_map>(control) = {1, {2, {reinterpret_cast<void*>(kHole)}}};
    CHECK(call(control, XENMEM_set_memory_map) == -XEN_EFAULT);
    CHECK(d.memory_map.entries().size() == 2); // the old one stays
    arg<xen_foreign_memory_map>(d) = {0, {2, {reinterpret_cast<void*>(kList)}}};
    CHECK(call(d, XENMEM_set_memory_map) == -XEN_EPERM);
}

TEST_CASE("claims and targets are the control domain's")
{
    World world;
    Domain& control = world.make(0, true);
    Domain& d       = world.make(1);
    reservation(control, 1, 100);
    CHECK(call(control, XENMEM_claim_pages) == -XEN_EINVAL); // has a list
    arg<xen_memory_reservation>(control).extent_start.p = nullptr;
    CHECK(call(control, XENMEM_claim_pages) == 0);
    CHECK(call(control, XENMEM_claim_pages) == -XEN_EINVAL); // one at a time
    arg<xen_memory_reservation>(control).nr_extents = 0;
    CHECK(call(control, XENMEM_claim_pages) == 0);
    CHECK(frames.promised_count() == 0);
    reservation(d, 1, 100);
    arg<xen_memory_reservation>(d).extent_start.p = nullptr;
    CHECK(call(d, XENMEM_claim_pages) == -XEN_EPERM);

    d.set_max_frames(100);
    arg<xen_pod_target_t>(control)              = {};
    arg<xen_pod_target_t>(control).domid        = 1;
    arg<xen_pod_target_t>(control).target_pages = 100;
    CHECK(call(control, XENMEM_set_pod_target) == 0);
    CHECK(arg<xen_pod_target_t>(control).tot_pages == 64);
    CHECK(arg<xen_pod_target_t>(control).pod_entries == 0);
    arg<xen_pod_target_t>(control).target_pages = 101;
    CHECK(call(control, XENMEM_set_pod_target) == -XEN_EINVAL);
    arg<xen_pod_target_t>(d)       = {};
    arg<xen_pod_target_t>(d).domid = DOMID_SELF;
    CHECK(call(d, XENMEM_get_pod_target) == -XEN_EPERM);
}

TEST_CASE("what is not offered says so")
{
    World world;
    Domain& d                             = world.make(1);
    arg<xen_vnuma_topology_info>(d)       = {};
    arg<xen_vnuma_topology_info>(d).domid = DOMID_SELF;
    CHECK(call(d, XENMEM_get_vnumainfo) == -XEN_EOPNOTSUPP);
    arg<xen_vnuma_topology_info>(d).pad = 1;
    CHECK(call(d, XENMEM_get_vnumainfo) == -XEN_EINVAL);
    arg<xen_reserved_device_memory_map>(d)            = {};
    arg<xen_reserved_device_memory_map>(d).nr_entries = 9;
    CHECK(call(d, XENMEM_reserved_device_memory_map) == 0);
    CHECK(arg<xen_reserved_device_memory_map>(d).nr_entries == 0);
}
