// SPDX-License-Identifier: Apache-2.0
//
// What forks cost, in instructions, as bench_operations measures. First the memory of paused domains of
// several sizes, given in 2 MiB extents as builders give it: `fork-64` and so on, the number in MiB. Then
// what writing costs afterwards, seen from a fork that runs: to a page of a large mapping in common, which is
// split for it, and to one beside it; and, for comparison, once more to a page that is its own.
#include "guest/cpu.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "guest/print.hpp"
#include "lib/child.hpp"
#include "lib/verdict.hpp"

#include <algorithm>

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "bench_fork";

namespace
{

constexpr u64 kArena      = 0x1000'0000;
constexpr u64 kRegion     = 2 << 20;
constexpr u32 kSamples    = 15;
constexpr u64 kWritten    = 64; // MiB of the fork that writes
constexpr u64 kSizes[]    = {64, 256, 1024};
constexpr u64 kExtraPages = 4096;

u64 samples[kSamples];

s64 median()
{
    std::sort(samples, samples + kSamples);
    return static_cast<s64>(samples[kSamples / 2]);
}

bool give_memory(Child& child, u64 mib)
{
    xen_domctl limit{};
    limit.u.max_mem.max_memkb = (mib << 10) + kExtraPages * 4;
    if (domctl(limit, XEN_DOMCTL_max_mem, child.id()) != 0)
        return false;
    for (u64 at = kArena; at < kArena + (mib << 20); at += kRegion) {
        xen_pfn_t extent = at / kPageSize;
        xen_memory_reservation op{};
        set_xen_guest_handle(op.extent_start, &extent);
        op.nr_extents   = 1;
        op.extent_order = 9;
        op.domid        = child.id();
        if (memory_op(XENMEM_populate_physmap, &op) != 1)
            return false;
    }
    return true;
}

void bench_fork(u64 mib)
{
    Child parent, child;
    NEED(parent.build() && give_memory(parent, mib));
    const u64 start = rdtsc();
    NEED(child.fork(parent, (mib << 10) + kExtraPages * 4));
    // Making the domain, and its processor state, is the same for all sizes, and little.
    print("BENCH fork-", mib, " ", rdtsc() - start);
    parent.destroy();
    child.destroy();
}

template <class Address>
s64 cost_of_writes(Address address)
{
    for (u64& sample : samples) {
        auto* const at  = at_gpa<volatile u64>(address(static_cast<u64>(&sample - samples)));
        const u64 start = rdtsc();
        *at             = start;
        sample          = rdtsc() - start;
    }
    return median();
}

} // namespace

void child_main()
{
    Mailbox& box = my_mailbox();
    box.stage    = 1;
    while (box.order == 0)
        sched_op(SCHEDOP_yield, nullptr);
    box.values[0] = cost_of_writes([](u64 i) { return kArena + i * kRegion; });
    box.values[1] = cost_of_writes([](u64 i) { return kArena + (i + 1) * kPageSize; });
    box.values[2] = cost_of_writes([](u64 i) { return kArena + (i + 1) * kPageSize; });
    box.stage     = 2;
    for (;;)
        sched_op(SCHEDOP_yield, nullptr);
}

void test_main()
{
    NEED(map_shared_info() == 0);
    for (const u64 mib : kSizes)
        bench_fork(mib);
    Child parent, child;
    NEED(parent.build() && give_memory(parent, kWritten));
    NEED(parent.unpause() == 0 && parent.wait_for_stage(1));
    NEED(parent.control(XEN_DOMCTL_pausedomain) == 0);
    NEED(child.fork(parent, (kWritten << 10) + kExtraPages * 4));
    child.mailbox().order = 1;
    NEED(child.unpause() == 0 && child.wait_for_stage(2));
    print("BENCH first-write-large ", child.mailbox().values[0]);
    print("BENCH first-write ", child.mailbox().values[1]);
    print("BENCH second-write ", child.mailbox().values[2]);
    print("BENCH-END");
}
