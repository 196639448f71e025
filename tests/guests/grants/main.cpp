// SPDX-License-Identifier: Apache-2.0
//
// Grants between two guests: mapping and copying, with every refusal a hostile or clumsy side gets.
//
// The child grants dom0 three pages: one for writing, one for reading, and one that names a frame where it
// has no memory. dom0 maps, reads what the child wrote, writes what the child then reads, unmaps. Use is
// seen in the entry's flags and ends with the unmapping: only then can the child take the grant back. A
// mapping for reading cannot be asked for writing. Numbers that are no reference, no handle, no domain, and
// mapping types a translated guest cannot have are refused with their GNTST code, and the batch goes on.
//
// Copies go between grants and own frames, across any offsets within a page, and refuse ranges beyond it.
// The page the child frees while dom0 has it mapped stays intact until it is unmapped. At last the child is
// destroyed while a page of its is still mapped: the page remains readable, and unmapping it works.
#include "guest/clock.hpp"
#include "guest/grants.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/child.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "grants";

namespace
{

constexpr grant_ref_t kWritable = 8;
constexpr grant_ref_t kReadable = 9;
constexpr grant_ref_t kNowhere  = 10;
constexpr u32 kPattern          = 0x1000193;

enum Stage : u32 { started = 1, granted, saw_writing, revoked, done };

Page buffer;
Page child_pages[2];

void fill(Page& page, u32 seed)
{
    for (u32 i = 0; i < kPageSize / 4; ++i)
        page.as<u32>()[i] = (seed + i) * kPattern;
}
bool holds(const void* page, u32 seed, u32 words = kPageSize / 4)
{
    for (u32 i = 0; i < words; ++i) {
        if (static_cast<const volatile u32*>(page)[i] != (seed + i) * kPattern)
            return false;
    }
    return true;
}

void wait_for_order(u32 order)
{
    while (my_mailbox().order < order)
        sched_op(SCHEDOP_yield, nullptr);
}

gnttab_copy copy_from_child(grant_ref_t ref, domid_t child, u16 from, u16 to, u16 length)
{
    gnttab_copy op{};
    op.source.u.ref  = ref;
    op.source.domid  = child;
    op.source.offset = from;
    op.dest.u.gmfn   = gfn_of(&buffer);
    op.dest.domid    = DOMID_SELF;
    op.dest.offset   = to;
    op.len           = length;
    op.flags         = GNTCOPY_source_gref;
    return op;
}

s16 run(gnttab_copy op)
{
    CHECK_EQUAL(grant_op(GNTTABOP_copy, &op, 1), 0);
    return op.status;
}

void check_refusals(domid_t child, u64 there)
{
    CHECK_EQUAL(grants::map(child, kReadable, there, true).status, GNTST_general_error);
    CHECK_EQUAL(grants::map(child, kNowhere, there, true).status, GNTST_bad_page);
    CHECK_EQUAL(grants::map(child, 100, there, true).status, GNTST_general_error);
    CHECK_EQUAL(grants::map(child, 1u << 20, there, true).status, GNTST_bad_gntref);
    CHECK_EQUAL(grants::map(0x7000, kWritable, there, true).status, GNTST_bad_domain);
    gnttab_map_grant_ref op{};
    op.host_addr = there;
    op.ref       = kWritable;
    op.dom       = child;
    CHECK_EQUAL(grant_op(GNTTABOP_map_grant_ref, &op, 1), 0);
    CHECK_EQUAL(op.status, GNTST_bad_gntref); // mapped for nobody
    op.flags = GNTMAP_host_map | GNTMAP_device_map;
    CHECK_EQUAL(grant_op(GNTTABOP_map_grant_ref, &op, 1), 0);
    CHECK_EQUAL(op.status, GNTST_general_error);
    CHECK_EQUAL(grants::unmap(12345, there), GNTST_bad_handle);
}

void check_mapping(Child& child, u64 there)
{
    auto op = grants::map(child.id(), kWritable, there, true);
    NEED(op.status == GNTST_okay);
    CHECK(holds(at_gpa(there), 1));
    fill(*at_gpa<Page>(there), 100);
    CHECK_EQUAL(grants::unmap(op.handle, there + kPageSize), GNTST_general_error);
    child.mailbox().order = 1;
    CHECK(child.wait_for_stage(saw_writing));
    CHECK_EQUAL(child.mailbox().values[0], 1); // it saw what dom0 wrote
    CHECK_EQUAL(child.mailbox().values[1], 0); // and could not revoke
    CHECK_EQUAL(grants::unmap(op.handle, there), GNTST_okay);
    CHECK_EQUAL(grants::unmap(op.handle, there), GNTST_bad_handle);

    op = grants::map(child.id(), kReadable, there, false);
    CHECK_EQUAL(op.status, GNTST_okay);
    CHECK(holds(at_gpa(there), 2));
    CHECK_EQUAL(grants::unmap(op.handle, there), GNTST_okay);
}

void check_copies(domid_t child)
{
    CHECK_EQUAL(run(copy_from_child(kReadable, child, 0, 0, 4096)), GNTST_okay);
    CHECK(holds(&buffer, 2));
    fill(buffer, 50);
    CHECK_EQUAL(run(copy_from_child(kReadable, child, 400, 40, 8)), GNTST_okay);
    CHECK(holds(buffer.bytes, 50, 10));
    CHECK(holds(buffer.bytes + 40, 102, 2));
    CHECK(holds(buffer.bytes + 48, 62, 100));
    CHECK_EQUAL(run(copy_from_child(kReadable, child, 1, 0, 4096)), GNTST_bad_copy_arg);
    CHECK_EQUAL(run(copy_from_child(kReadable, child, 0, 4095, 2)), GNTST_bad_copy_arg);
    CHECK_EQUAL(run(copy_from_child(100, child, 0, 0, 4)), GNTST_general_error);
    CHECK_EQUAL(run(copy_from_child(1u << 20, child, 0, 0, 4)), GNTST_bad_gntref);
    CHECK_EQUAL(run(copy_from_child(kReadable, 0x7000, 0, 0, 4)), GNTST_bad_domain);

    gnttab_copy back   = copy_from_child(kReadable, child, 0, 0, 4);
    back.flags         = GNTCOPY_dest_gref;
    back.dest          = back.source;
    back.source.u.gmfn = gfn_of(&buffer);
    back.source.domid  = DOMID_SELF;
    CHECK_EQUAL(run(back), GNTST_general_error); // granted for reading
    back.dest.u.ref = kWritable;
    CHECK_EQUAL(run(back), GNTST_okay);
    back.flags = 0;
    CHECK_EQUAL(run(back), GNTST_permission_denied);

    // A batch is done to its end, whatever becomes of one of it.
    gnttab_copy batch[3] = {copy_from_child(kReadable, child, 0, 0, 4), copy_from_child(100, child, 0, 0, 4),
                            copy_from_child(kReadable, child, 4, 4, 4)};
    CHECK_EQUAL(grant_op(GNTTABOP_copy, batch, 3), 0);
    CHECK_EQUAL(batch[0].status, GNTST_okay);
    CHECK(batch[1].status < 0);
    CHECK_EQUAL(batch[2].status, GNTST_okay);
}

void check_destruction(Child& child, u64 there)
{
    const auto op = grants::map(child.id(), kReadable, there, false);
    NEED(op.status == GNTST_okay);
    child.destroy();
    CHECK(holds(at_gpa(there), 2));
    CHECK_EQUAL(grants::unmap(op.handle, there), GNTST_okay);
    // Once its last page is let go, nothing of it is left.
    xen_domctl_getdomaininfo info{};
    const u64 deadline = system_time() + 2'000'000'000;
    while (child.info(info) == 0 && system_time() < deadline)
        sched_op(SCHEDOP_yield, nullptr);
    CHECK_EQUAL(child.info(info), -XEN_ESRCH);
}

} // namespace

void child_main()
{
    Mailbox& box = my_mailbox();
    map_shared_info();
    box.values[10] = grants::start();
    box.stage      = started;
    fill(child_pages[0], 1);
    fill(child_pages[1], 2);
    grants::allow(kWritable, 0, gfn_of(&child_pages[0]), true);
    grants::allow(kReadable, 0, gfn_of(&child_pages[1]), false);
    grants::allow(kNowhere, 0, 0x60000, true);
    box.stage = granted;
    wait_for_order(1);
    box.values[0] = holds(&child_pages[0], 100);
    box.values[1] = grants::revoke(kWritable);
    box.stage     = saw_writing;
    wait_for_order(2);
    box.values[2] = grants::revoke(kWritable);
    box.stage     = revoked;
    for (;;)
        sched_op(SCHEDOP_yield, nullptr);
}

void test_main()
{
    NEED(map_shared_info() == 0);
    Child child;
    NEED(child.build());
    NEED(child.unpause() == 0);
    NEED(child.wait_for_stage(granted));
    CHECK_EQUAL(child.mailbox().values[10], 0);
    const u64 there = window(2);

    check_refusals(child.id(), there);
    check_mapping(child, there);
    check_copies(child.id());
    child.mailbox().order = 2;
    CHECK(child.wait_for_stage(revoked));
    CHECK_EQUAL(child.mailbox().values[2], 1);
    CHECK_EQUAL(grants::map(child.id(), kWritable, there, true).status, GNTST_general_error);
    check_destruction(child, there);
}
