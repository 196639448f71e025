// SPDX-License-Identifier: Apache-2.0
//
// Domains that move between CPU pools, with the same scheduler and with another one, while they run.
//
// The last CPU is taken from pool 0 for a second pool, once with each scheduler. A child moves there and goes
// on, on that pool's CPU, and it may move on to where it is; its affinity, which named a CPU of pool 0, is
// gone, and its weight, unlike under Xen, is its own still when it is back. Moves follow each other closely
// while the child sleeps and wakes. Where CPUs are not shared a second child waits, neither asleep nor
// running, until the first leaves.
#include "guest/clock.hpp"
#include "guest/cpu.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/child.hpp"
#include "lib/pools.hpp"
#include "lib/verdict.hpp"

#include <xen/sched.h>

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "pool_moves";

namespace
{

constexpr u64 kMs       = 1'000'000;
constexpr u64 kPatience = 20'000 * kMs;
constexpr u32 kApart    = 5;
constexpr u16 kWeight   = 512;

s64 move(const Child& child, u32 pool)
{
    return pool_op(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, pool, 0, child.id());
}

bool goes_on(const Child& child)
{
    const s64 counted = child.mailbox().values[0];
    for (const u64 end = system_time() + kPatience; system_time() < end;) {
        if (child.mailbox().values[0] > counted + 2)
            return true;
        pause();
    }
    return false;
}

xen_domctl_getvcpuinfo vcpu_of(const Child& child)
{
    xen_domctl op{};
    NEED(domctl(op, XEN_DOMCTL_getvcpuinfo, child.id()) == 0);
    return op.u.getvcpuinfo;
}

u64 affinity(const Child& child, u32 command, u64 wanted = 0)
{
    static u64 mask;
    mask = wanted;
    xen_domctl op{};
    auto& binding               = op.u.vcpuaffinity;
    binding.flags               = XEN_VCPUAFFINITY_HARD;
    binding.cpumap_hard.nr_bits = 64;
    set_xen_guest_handle_raw(binding.cpumap_hard.bitmap, reinterpret_cast<u8*>(&mask));
    NEED(domctl(op, command, child.id()) == 0);
    return mask;
}

u16 weight(const Child& child, u32 command, u16 wanted = 0)
{
    xen_domctl op{};
    auto& share            = op.u.scheduler_op;
    share.sched_id         = XEN_SCHEDULER_CREDIT2;
    share.cmd              = command;
    share.u.credit2.weight = wanted;
    NEED(domctl(op, XEN_DOMCTL_scheduler_op, child.id()) == 0);
    return share.u.credit2.weight;
}

u32 make_pool(u32 scheduler)
{
    NEED(pool_op(XEN_SYSCTL_CPUPOOL_OP_RMCPU, 0) == 0);
    const u32 cpu = last.op.cpu;
    NEED(pool_op(XEN_SYSCTL_CPUPOOL_OP_CREATE, kApart, 0, 0, scheduler) == 0);
    NEED(pool_op(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, kApart, cpu) == 0);
    return cpu;
}

void unmake_pool(u32 cpu)
{
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_RMCPU, kApart, cpu), 0);
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_DESTROY, kApart), 0);
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, 0, cpu), 0);
}

void check_arrival(const Child& child)
{
    CHECK_EQUAL(pool_of(child.id()), kApart);
    CHECK(goes_on(child));
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_INFO, kApart), 0);
    CHECK(last.cpus >> vcpu_of(child).cpu & 1);
    CHECK(affinity(child, XEN_DOMCTL_getvcpuaffinity) & last.cpus);
    CHECK_EQUAL(move(child, kApart), 0);
}

// The child sleeps and wakes all the while.
void check_haste(const Child& child)
{
    child.mailbox().order = 1;
    for (u32 trip = 0; trip < 60; ++trip) {
        CHECK_EQUAL(move(child, trip % 2 == 0 ? 0 : kApart), 0);
        if (trip % 10 == 0)
            CHECK(goes_on(child));
    }
    child.mailbox().order = 0;
    CHECK(goes_on(child));
}

void check_second(const Child& first, const Child& second, bool shared)
{
    CHECK_EQUAL(move(second, kApart), 0);
    if (!shared) {
        const s64 counted = second.mailbox().values[0];
        spin(50 * kMs);
        CHECK_EQUAL(second.mailbox().values[0], counted);
        CHECK_EQUAL(vcpu_of(second).running, 0);
        CHECK_EQUAL(vcpu_of(second).blocked, 0);
    }
    CHECK(goes_on(first));
    CHECK_EQUAL(pool_op(XEN_SYSCTL_CPUPOOL_OP_DESTROY, kApart), -XEN_EBUSY);
    CHECK_EQUAL(move(first, 0), 0);
    CHECK(goes_on(first));
    CHECK(goes_on(second));
}

void check_moves(u32 home, u32 scheduler)
{
    const bool weighs = home == XEN_SCHEDULER_CREDIT2;
    Child first, second;
    NEED(first.build() && second.build());
    NEED(first.unpause() == 0 && second.unpause() == 0);
    if (weighs)
        weight(first, XEN_DOMCTL_SCHEDOP_putinfo, kWeight);
    const u32 cpu = make_pool(scheduler);
    affinity(first, XEN_DOMCTL_setvcpuaffinity, 1);

    CHECK_EQUAL(move(first, kApart), 0);
    check_arrival(first);
    check_haste(first);
    check_second(first, second, scheduler == XEN_SCHEDULER_CREDIT2);
    if (weighs)
        CHECK_EQUAL(weight(first, XEN_DOMCTL_SCHEDOP_getinfo), kWeight);
    CHECK_EQUAL(move(second, 0), 0);
    CHECK(goes_on(second));
    first.destroy();
    second.destroy();
    unmake_pool(cpu);
}

} // namespace

void child_main()
{
    NEED(map_shared_info() == 0);
    for (;;) {
        my_mailbox().values[0] = my_mailbox().values[0] + 1;
        if (my_mailbox().order == 0)
            continue;
        sched_poll op{};
        op.timeout = system_time() + kMs / 20;
        sched_op(SCHEDOP_poll, &op);
    }
}

void test_main()
{
    NEED(map_shared_info() == 0);
    NEED(pool_op(XEN_SYSCTL_CPUPOOL_OP_INFO, 0) == 0);
    if ((last.cpus & (last.cpus - 1)) == 0)
        SKIP("there is one CPU, which pool 0 keeps");
    const u32 home = last.op.sched_id;
    check_moves(home, XEN_SCHEDULER_NULL);
    check_moves(home, XEN_SCHEDULER_CREDIT2);
}
