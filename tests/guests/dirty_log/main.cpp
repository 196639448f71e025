// SPDX-License-Identifier: Apache-2.0
//
// The log of writes to a domain's memory (XEN_DOMCTL_shadow_op).
//
// The child has 2 MiB of memory, given as one extent, and writes to some of its pages while it only reads
// others: the log names exactly those that it wrote, once; a look that takes nothing away names them again.
// So do writes that the hypervisor makes for the child (the answer of a hypercall), those by a writable
// grant, and by dom0 through a foreign mapping; a foreign mapping that was only read is none. What the child
// gives back, and what it asks for again, is named too. Who asks without a log, for a log of itself, or for
// two of them is refused. When the log is off the child runs on as before.
#include "guest/clock.hpp"
#include "guest/grants.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/child.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "dirty_log";

namespace
{

constexpr u64 kArena          = 0x1000'0000;
constexpr u64 kArenaGfn       = kArena / kPageSize;
constexpr u64 kArenaPages     = 512;
constexpr grant_ref_t kGrant  = 8;
constexpr u64 kWrittenOver[]  = {0, 1, 63, 64, 200, 511};
constexpr u64 kAnswerPage     = 300;
constexpr u64 kGrantedPage    = 301;
constexpr u64 kForeignWritten = 302;
constexpr u64 kForeignRead    = 303;
constexpr u64 kGivenBack      = 304;

enum Order : u32 { touch_all = 1, write_some, ask, give_back, take_again, write_again };

volatile u64& word(u64 page) { return *at_gpa<volatile u64>(kArena + page * kPageSize + 64); }

s64 shadow_op(domid_t domain, u32 op, u32 mode, u8* bitmap, u64& pages, u32& count)
{
    xen_domctl call{};
    call.u.shadow_op.op    = op;
    call.u.shadow_op.mode  = mode;
    call.u.shadow_op.pages = pages;
    set_xen_guest_handle(call.u.shadow_op.dirty_bitmap, bitmap);
    const s64 result = domctl(call, XEN_DOMCTL_shadow_op, domain);
    pages            = call.u.shadow_op.pages;
    count            = call.u.shadow_op.stats.dirty_count;
    return result;
}

s64 shadow_op(domid_t domain, u32 op)
{
    u64 pages = 0;
    u32 count = 0;
    return shadow_op(domain, op, 0, nullptr, pages, count);
}

// A bit for each frame up to the arena's end.
u8 bitmap[(kArenaGfn + kArenaPages) / 8];

bool is_logged(u64 page)
{
    const u64 gfn = kArenaGfn + page;
    return (bitmap[gfn / 8] >> (gfn % 8) & 1) != 0;
}

void look(Child& child, u32 op)
{
    for (u8& byte : bitmap)
        byte = 0xa5;
    u64 pages = kArenaGfn + kArenaPages;
    u32 count = 0;
    CHECK_EQUAL(shadow_op(child.id(), op, 0, bitmap, pages, count), 0);
    CHECK_EQUAL(pages, kArenaGfn + kArenaPages);
    u32 bits = 0;
    for (u64 gfn = 0; gfn < pages; ++gfn)
        bits += bitmap[gfn / 8] >> (gfn % 8) & 1;
    CHECK_EQUAL(count, bits);
}

template <u64 count>
void expect(const u64 (&pages)[count])
{
    for (u64 page = 0; page < kArenaPages; ++page) {
        bool wanted = false;
        for (const u64 one : pages)
            wanted |= one == page;
        if (is_logged(page) != wanted)
            NOTE(failure, "page ", page, wanted ? " is not in the log" : " is in the log");
    }
}

void expect_none()
{
    for (u64 page = 0; page < kArenaPages; ++page) {
        if (is_logged(page))
            NOTE(failure, "page ", page, " is in the log");
    }
}

void wait_for_order(u32 order)
{
    while (my_mailbox().order < order)
        sched_op(SCHEDOP_yield, nullptr);
}

s64 reserve(u32 command, domid_t domain, u64 gfn, u32 order)
{
    xen_pfn_t extent = gfn;
    xen_memory_reservation r{};
    set_xen_guest_handle(r.extent_start, &extent);
    r.nr_extents   = 1;
    r.extent_order = order;
    r.domid        = domain;
    return memory_op(command, &r);
}

bool carry_out(Child& child, Order order)
{
    child.mailbox().order = order;
    return child.wait_for_stage(order);
}

void check_refusals(Child& child)
{
    CHECK_EQUAL(shadow_op(child.id(), XEN_DOMCTL_SHADOW_OP_CLEAN), -XEN_EINVAL);
    CHECK_EQUAL(shadow_op(child.id(), XEN_DOMCTL_SHADOW_OP_PEEK), -XEN_EINVAL);
    CHECK_EQUAL(shadow_op(0, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY), -XEN_EINVAL);
    CHECK_EQUAL(shadow_op(child.id(), 77), -XEN_EINVAL);
}

void check_foreign(Child& child)
{
    const u64 written = window(2);
    NEED(map_foreign(child.id(), kArenaGfn + kForeignWritten, 2, written) == 0);
    CHECK_EQUAL(*at_gpa<volatile u64>(written + kPageSize + 64), kForeignRead);
    *at_gpa<volatile u64>(written) = 1;
    for (u64 i = 0; i < 2; ++i) {
        xen_remove_from_physmap op{.domid = DOMID_SELF, .gpfn = written / kPageSize + i};
        CHECK_EQUAL(memory_op(XENMEM_remove_from_physmap, &op), 0);
    }
    look(child, XEN_DOMCTL_SHADOW_OP_CLEAN);
    expect({kForeignWritten});
}

void check_grant(Child& child)
{
    const u64 place = window(1);
    auto mapping    = grants::map(child.id(), kGrant, place, true);
    NEED(mapping.status == GNTST_okay);
    look(child, XEN_DOMCTL_SHADOW_OP_CLEAN);
    expect({kGrantedPage});
    look(child, XEN_DOMCTL_SHADOW_OP_CLEAN);
    expect({kGrantedPage}); // it may be written at any time
    NEED(grants::unmap(mapping.handle, place) == GNTST_okay);
    look(child, XEN_DOMCTL_SHADOW_OP_CLEAN);
    expect({kGrantedPage});
    look(child, XEN_DOMCTL_SHADOW_OP_CLEAN);
    expect_none();
}

} // namespace

void child_main()
{
    grants::start();
    Mailbox& box = my_mailbox();
    for (u64 page = 0; page < kArenaPages; ++page)
        word(page) = page;
    auto& get = *at_gpa<xen_hvm_param>(kArena + kAnswerPage * kPageSize);
    get.domid = DOMID_SELF;
    get.index = HVM_PARAM_STORE_EVTCHN;
    grants::allow(kGrant, 0, kArenaGfn + kGrantedPage, true);
    box.stage = touch_all;
    wait_for_order(write_some);
    u64 sum = 0;
    for (u64 page = 0; page < kArenaPages; ++page)
        sum += word(page);
    for (const u64 page : kWrittenOver)
        word(page) = ~page;
    box.values[0] = static_cast<s64>(sum);
    box.stage     = write_some;
    wait_for_order(ask);
    box.values[1] = hvm_op(HVMOP_get_param, &get);
    box.stage     = ask;
    wait_for_order(give_back);
    box.values[2] = reserve(XENMEM_decrease_reservation, DOMID_SELF, kArenaGfn + kGivenBack, 0);
    box.stage     = give_back;
    wait_for_order(take_again);
    box.values[3] = reserve(XENMEM_populate_physmap, DOMID_SELF, kArenaGfn + kGivenBack, 0);
    box.stage     = take_again;
    wait_for_order(write_again);
    u64 good = 0;
    for (u64 page = 5; page < kForeignWritten; ++page) {
        good += word(page) == page || word(page) == ~page ? 1 : 0;
        word(page) = 3;
    }
    box.values[4] = static_cast<s64>(good);
    box.stage     = write_again;
    for (;;)
        sched_op(SCHEDOP_yield, nullptr);
}

void test_main()
{
    NEED(map_shared_info() == 0);
    Child child;
    NEED(child.build());
    NEED(reserve(XENMEM_populate_physmap, child.id(), kArenaGfn, 9) == 1);
    NEED(child.unpause() == 0);
    NEED(child.wait_for_stage(touch_all));

    check_refusals(child);
    CHECK_EQUAL(shadow_op(child.id(), XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY), 0);
    CHECK_EQUAL(shadow_op(child.id(), XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY), -XEN_EINVAL);
    look(child, XEN_DOMCTL_SHADOW_OP_CLEAN);
    expect_none();

    NEED(carry_out(child, write_some));
    CHECK_EQUAL(child.mailbox().values[0], kArenaPages * (kArenaPages - 1) / 2);
    look(child, XEN_DOMCTL_SHADOW_OP_PEEK);
    expect(kWrittenOver);
    look(child, XEN_DOMCTL_SHADOW_OP_CLEAN);
    expect(kWrittenOver);
    look(child, XEN_DOMCTL_SHADOW_OP_CLEAN);
    expect_none();

    // The argument that the hypervisor answers in was written by nobody else.
    NEED(carry_out(child, ask));
    CHECK_EQUAL(child.mailbox().values[1], 0);
    look(child, XEN_DOMCTL_SHADOW_OP_CLEAN);
    expect({kAnswerPage});

    check_foreign(child);
    check_grant(child);

    NEED(carry_out(child, give_back));
    CHECK_EQUAL(child.mailbox().values[2], 1);
    look(child, XEN_DOMCTL_SHADOW_OP_CLEAN);
    expect({kGivenBack});
    NEED(carry_out(child, take_again));
    CHECK_EQUAL(child.mailbox().values[3], 1);
    look(child, XEN_DOMCTL_SHADOW_OP_CLEAN);
    expect({kGivenBack});

    CHECK_EQUAL(shadow_op(child.id(), XEN_DOMCTL_SHADOW_OP_OFF), 0);
    check_refusals(child);
    NEED(carry_out(child, write_again));
    CHECK_EQUAL(child.mailbox().values[4], kForeignWritten - 5);
    CHECK_EQUAL(shadow_op(child.id(), XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY), 0);
    child.destroy();
}
