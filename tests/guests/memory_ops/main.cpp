// SPDX-License-Identifier: Apache-2.0
//
// A guest's own memory: giving pages back and asking for them again. [xen/include/public/memory.h]
//
// A page given back is gone: an access to it does not find the old contents, and hypercall arguments in it
// are refused. A page asked for is memory again, and zero, because somebody else may have had the frame.
// (Stock Xen scrubs only what a dead domain leaves, and fails this check with the guest's own old contents.)
// The counts of current and maximum reservation follow. Batches report how many extents were done: a bad
// one ends them. More than the domain may have is not given. A 2 MiB extent goes and comes as one. Pages
// can be moved (XENMEM_add_to_physmap, gmfn) and taken out of the map (XENMEM_remove_from_physmap), and the
// highest frame is known.
#include "guest/cpu.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;

const char* const kTestName = "memory_ops";

namespace
{

constexpr u64 kPlace   = 0x3000000; // 48 MiB: memory, and nothing of this image
constexpr u64 k2M      = 0x200000;
constexpr u32 kOrder2m = 9;

s64 reserve(u32 command, const u64* gpas, u32 count, u32 order = 0)
{
    xen_pfn_t gfns[16];
    for (u32 i = 0; i < count; ++i)
        gfns[i] = gpas[i] / kPageSize;
    xen_memory_reservation r{};
    set_xen_guest_handle(r.extent_start, gfns);
    r.nr_extents   = count;
    r.extent_order = order;
    r.domid        = DOMID_SELF;
    return memory_op(command, &r);
}

s64 reservation()
{
    domid_t self = DOMID_SELF;
    return memory_op(XENMEM_current_reservation, &self);
}

volatile u64& at(u64 gpa) { return *at_gpa<volatile u64>(gpa); }

bool is_zero(u64 gpa, u64 bytes)
{
    for (u64 i = 0; i < bytes; i += 8) {
        if (at(gpa + i) != 0)
            return false;
    }
    return true;
}

// EVTCHNOP_status reads its argument from there.
s64 use_as_argument(u64 gpa) { return hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_send, gpa); }

void check_single_pages()
{
    const u64 pages[3] = {kPlace, kPlace + kPageSize, kPlace + 5 * kPageSize};
    for (const u64 page : pages)
        at(page) = 0x5a5a5a5a;
    const s64 before = reservation();
    CHECK(before > 0);
    CHECK_EQUAL(reserve(XENMEM_decrease_reservation, pages, 3), 3);
    CHECK_EQUAL(reservation(), before - 3);
    CHECK_EQUAL(use_as_argument(kPlace), -XEN_EFAULT);
    CHECK_EQUAL(at(kPlace + 2 * kPageSize), 0); // what lies between stayed
    CHECK_EQUAL(reserve(XENMEM_populate_physmap, pages, 3), 3);
    CHECK_EQUAL(reservation(), before);
    for (const u64 page : pages)
        CHECK(is_zero(page, kPageSize));
    at(kPlace) = 1;
    CHECK_EQUAL(at(kPlace), 1);
    CHECK_EQUAL(use_as_argument(kPlace), -XEN_EINVAL); // read, and no such port
}

void check_large_page()
{
    const u64 place     = kPlace + 4 * k2M;
    at(place)           = 1;
    at(place + k2M - 8) = 2;
    const s64 before    = reservation();
    CHECK_EQUAL(reserve(XENMEM_decrease_reservation, &place, 1, kOrder2m), 1);
    CHECK_EQUAL(reservation(), before - 512);
    CHECK_EQUAL(reserve(XENMEM_populate_physmap, &place, 1, kOrder2m), 1);
    CHECK_EQUAL(reservation(), before);
    CHECK(is_zero(place, k2M));
}

void check_limits()
{
    domid_t self      = DOMID_SELF;
    const s64 maximum = memory_op(XENMEM_maximum_reservation, &self);
    CHECK(maximum >= reservation());
    const s64 highest = memory_op(XENMEM_maximum_gpfn, &self);
    CHECK(highest >= static_cast<s64>(kPlace / kPageSize));
    domid_t nobody = 0x7000;
    CHECK_EQUAL(memory_op(XENMEM_current_reservation, &nobody), -XEN_ESRCH);
}

void check_moves()
{
    const u64 from = kPlace + 20 * kPageSize;
    const u64 to   = kPlace + 30 * kPageSize;
    CHECK_EQUAL(reserve(XENMEM_decrease_reservation, &to, 1), 1);
    at(from) = 0x77;
    xen_add_to_physmap move{};
    move.domid = DOMID_SELF;
    move.space = XENMAPSPACE_gmfn;
    move.idx   = from / kPageSize;
    move.gpfn  = to / kPageSize;
    CHECK_EQUAL(memory_op(XENMEM_add_to_physmap, &move), 0);
    CHECK_EQUAL(at(to), 0x77);
    CHECK_EQUAL(use_as_argument(from), -XEN_EFAULT);

    xen_remove_from_physmap remove{.domid = DOMID_SELF, .gpfn = to / kPageSize};
    CHECK_EQUAL(memory_op(XENMEM_remove_from_physmap, &remove), 0);
    CHECK_EQUAL(use_as_argument(to), -XEN_EFAULT);
    CHECK_EQUAL(memory_op(XENMEM_remove_from_physmap, &remove), -XEN_ENOENT);
}

} // namespace

void test_main()
{
    check_single_pages();
    check_large_page();
    check_limits();
    check_moves();
    CHECK_EQUAL(hypercall(__HYPERVISOR_memory_op, 63, 0), -XEN_ENOSYS);
}
