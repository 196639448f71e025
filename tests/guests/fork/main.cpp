// SPDX-License-Identifier: Apache-2.0
//
// Memory of one domain in two (XENMEM_sharing_op_fork).
//
// The parent has 2 MiB of memory, given as one extent, and knows what it wrote there. Its fork goes on where
// it was, with the same memory. Then both write to some of the pages, each something of its own, by the CPU
// and by an answer of the hypervisor; dom0 writes to a page of one of them by a grant, and by a foreign
// mapping. Each sees what it is to see and nothing of the other, also after the parent has ended. How much is
// in common is counted. Who forks what cannot be forked is refused.
#include "guest/grants.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/child.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "fork";

namespace
{

constexpr u64 kArena         = 0x1000'0000;
constexpr u64 kArenaGfn      = kArena / kPageSize;
constexpr u64 kArenaPages    = 512;
constexpr grant_ref_t kGrant = 8;
constexpr u64 kAnswerPage    = 300;
constexpr u64 kGrantedPage   = 301;
constexpr u64 kForeignPage   = 302;

enum Order : u32 { touch_all = 1, write_some, look_again };
enum Value : u32 { kSumBefore, kAnswer, kParam, kSumAfter, kGranted, kForeign };

volatile u64& word(u64 page) { return *at_gpa<volatile u64>(kArena + page * kPageSize + 64); }

constexpr bool is_written(u64 page) { return page % 5 == 0 && page < kAnswerPage; }

void wait_for_order(u32 order)
{
    while (my_mailbox().order < order)
        sched_op(SCHEDOP_yield, nullptr);
}

s64 sum()
{
    u64 sum = 0;
    for (u64 page = 0; page < kAnswerPage; ++page)
        sum += word(page);
    return static_cast<s64>(sum);
}

// Of a domain that wrote `mark` more to the pages that are to be written.
s64 expected_sum(u64 mark)
{
    u64 sum = 0;
    for (u64 page = 0; page < kAnswerPage; ++page)
        sum += page + (is_written(page) ? mark : 0);
    return static_cast<s64>(sum);
}

bool carry_out(Child& child, Order order)
{
    child.mailbox().order = order;
    return child.wait_for_stage(order);
}

s64 fork(domid_t child, domid_t parent, u32 what = XENMEM_sharing_op_fork, u16 flags = 0)
{
    xen_mem_sharing_op_t op{};
    op.op                   = static_cast<u8>(what);
    op.domain               = child;
    op.u.fork.parent_domain = parent;
    op.u.fork.flags         = flags;
    return memory_op(XENMEM_sharing_op, &op);
}

u64 shared_pages(Child& child)
{
    xen_domctl_getdomaininfo info{};
    CHECK_EQUAL(child.info(info), 0);
    return info.shr_pages;
}

void check_refusals(Child& parent, Child& child)
{
    CHECK_EQUAL(fork(child.id(), 0), -XEN_EPERM);
    CHECK_EQUAL(fork(0, parent.id()), -XEN_EPERM);
    CHECK_EQUAL(fork(child.id(), 777), -XEN_ESRCH);
    CHECK_EQUAL(fork(777, parent.id()), -XEN_ESRCH);
    CHECK_EQUAL(fork(child.id(), parent.id()), -XEN_EINVAL); // has memory
    CHECK_EQUAL(fork(child.id(), child.id()), -XEN_EINVAL);
    CHECK_EQUAL(fork(child.id(), parent.id(), XENMEM_sharing_op_fork, XENMEM_FORK_BLOCK_INTERRUPTS),
                -XEN_EINVAL);
    CHECK_EQUAL(fork(child.id(), parent.id(), XENMEM_sharing_op_audit), -XEN_ENOSYS);
}

void write_from_outside(Child& parent)
{
    const u64 granted = window(1), foreign = window(1);
    auto mapping = grants::map(parent.id(), kGrant, granted, true);
    NEED(mapping.status == GNTST_okay);
    NEED(map_foreign(parent.id(), kArenaGfn + kForeignPage, 1, foreign) == 0);
    CHECK_EQUAL(*at_gpa<volatile u64>(granted + 64), kGrantedPage);
    CHECK_EQUAL(*at_gpa<volatile u64>(foreign + 64), kForeignPage);
    *at_gpa<volatile u64>(granted + 64) = 1001;
    *at_gpa<volatile u64>(foreign + 64) = 1002;
    NEED(grants::unmap(mapping.handle, granted) == GNTST_okay);
    xen_remove_from_physmap op{.domid = DOMID_SELF, .gpfn = foreign / kPageSize};
    CHECK_EQUAL(memory_op(XENMEM_remove_from_physmap, &op), 0);
}

void check_values(Child& child, u64 mark, s64 granted, s64 foreign)
{
    const auto& values = child.mailbox().values;
    CHECK_EQUAL(values[kSumBefore], expected_sum(0));
    CHECK_EQUAL(values[kAnswer], 0);
    CHECK_EQUAL(values[kParam], static_cast<s64>(mark));
    CHECK_EQUAL(values[kSumAfter], expected_sum(mark));
    CHECK_EQUAL(values[kGranted], granted);
    CHECK_EQUAL(values[kForeign], foreign);
}

s64 set_param(domid_t domain, u64 value)
{
    xen_hvm_param op{};
    op.domid = domain;
    op.index = HVM_PARAM_STORE_PFN;
    op.value = value;
    return hvm_op(HVMOP_set_param, &op);
}

} // namespace

void child_main()
{
    grants::start();
    for (u64 page = 0; page < kArenaPages; ++page)
        word(page) = page;
    auto& get = *at_gpa<volatile xen_hvm_param>(kArena + kAnswerPage * kPageSize);
    get.domid = DOMID_SELF;
    get.index = HVM_PARAM_STORE_PFN;
    grants::allow(kGrant, 0, kArenaGfn + kGrantedPage, true);
    my_mailbox().stage = touch_all;
    wait_for_order(write_some); // and here there are two
    Mailbox& box           = my_mailbox();
    const u64 mark         = box.child * u64{100'000};
    box.values[kSumBefore] = sum();
    for (u64 page = 0; page < kAnswerPage; ++page) {
        if (is_written(page))
            word(page) = word(page) + mark;
    }
    box.values[kAnswer] = hvm_op(HVMOP_get_param, at_gpa(kArena + kAnswerPage * kPageSize));
    box.values[kParam]  = static_cast<s64>(get.value);
    box.stage           = write_some;
    wait_for_order(look_again);
    box.values[kSumAfter] = sum();
    box.values[kGranted]  = static_cast<s64>(word(kGrantedPage));
    box.values[kForeign]  = static_cast<s64>(word(kForeignPage));
    box.stage             = look_again;
    for (;;)
        sched_op(SCHEDOP_yield, nullptr);
}

void test_main()
{
    NEED(map_shared_info() == 0);
    Child parent, child;
    NEED(parent.build());
    xen_pfn_t extent = kArenaGfn;
    xen_memory_reservation arena{};
    set_xen_guest_handle(arena.extent_start, &extent);
    arena.nr_extents   = 1;
    arena.extent_order = 9;
    arena.domid        = parent.id();
    NEED(memory_op(XENMEM_populate_physmap, &arena) == 1);
    NEED(parent.unpause() == 0);
    NEED(parent.wait_for_stage(touch_all));

    CHECK_EQUAL(memory_op(XENMEM_get_sharing_shared_pages, nullptr), 0);
    NEED(parent.control(XEN_DOMCTL_pausedomain) == 0);
    NEED(child.fork(parent));
    check_refusals(parent, child);
    NEED(parent.unpause() == 0);
    const u64 in_common = shared_pages(child);
    if (in_common < kArenaPages)
        NOTE(failure, "only ", in_common, " pages are in common");
    CHECK_EQUAL(shared_pages(parent), memory_op(XENMEM_get_sharing_freed_pages, nullptr));

    child.mailbox().child = child.id();
    const u64 parents = parent.id() * u64{100'000}, childs = child.id() * u64{100'000};
    NEED(set_param(parent.id(), parents) == 0 && set_param(child.id(), childs) == 0);
    NEED(child.unpause() == 0);
    NEED(carry_out(parent, write_some));
    NEED(carry_out(child, write_some));
    write_from_outside(parent);
    NEED(carry_out(parent, look_again));
    check_values(parent, parents, 1001, 1002);
    parent.destroy();
    NEED(carry_out(child, look_again));
    check_values(child, childs, kGrantedPage, kForeignPage);
    CHECK_EQUAL(memory_op(XENMEM_get_sharing_freed_pages, nullptr), 0);
    CHECK_EQUAL(shared_pages(child), memory_op(XENMEM_get_sharing_shared_pages, nullptr));
    child.destroy();
    CHECK_EQUAL(memory_op(XENMEM_get_sharing_shared_pages, nullptr), 0);
}
