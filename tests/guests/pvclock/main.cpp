// SPDX-License-Identifier: Apache-2.0
//
// Time as the shared page gives it. [xen/include/public/xen.h, vcpu_time_info]
//
// The parameters are valid as soon as the page is placed: an even version, a multiplier that is not 0. The
// clock they make with the TSC never goes back over thousands of readings, and moves.
// It is the hypervisor's own, which XEN_DOMCTL_gettscinfo tells, and stays so for a while. Where the
// parameters are not promised to be stable they are renewed meanwhile; else
// VCPUOP_register_vcpu_time_memory_area gives a copy elsewhere with the same contents. The wall clock lies in
// this century and moves with the system clock. A halt of ten milliseconds is ten milliseconds of it, as far
// as a busy machine allows.
#include "guest/clock.hpp"
#include "guest/cpu.hpp"
#include "guest/events.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/child.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;

const char* const kTestName = "pvclock";

namespace
{

constexpr u64 kMillisecond = 1'000'000;
constexpr u64 kSecond      = 1000 * kMillisecond;
constexpr u64 kYear2020    = 1'577'836'800 * kSecond;
constexpr u64 kYear2100    = 4'102'444'800 * kSecond;

alignas(64) vcpu_time_info copy;

void check_monotonic()
{
    const u64 start = system_time();
    u64 last        = start;
    for (unsigned i = 0; i < 5'000; ++i) {
        const u64 now = system_time();
        if (now < last) {
            NOTE(failure, "time went back from ", last, " to ", now);
            return;
        }
        last = now;
    }
    CHECK(last > start);
}

// Between two of its readings of ours, give or take the error of a pace that is renewed each 100 ms and of
// counters that are not read at the same moment.
bool is_the_hypervisors()
{
    constexpr u64 tolerance = kMillisecond / 10;
    xen_domctl op{};
    const u64 before = system_time();
    if (vmm::guest_test::domctl(op, XEN_DOMCTL_gettscinfo, 0) != 0)
        return false;
    const u64 after = system_time();
    const u64 told  = op.u.tsc_info.elapsed_nsec;
    if (told + tolerance >= before && told <= after + tolerance)
        return true;
    NOTE(failure, "system time is ", told, ", read between ", before, " and ", after);
    return false;
}

bool is_stable() { return my_vcpu_info().time.flags & XEN_PVCLOCK_TSC_STABLE_BIT; }

void check_rate()
{
    const u32 version = my_vcpu_info().time.version;
    const u64 end     = system_time() + 350 * kMillisecond;
    while (system_time() < end) {
        if (!is_the_hypervisors())
            return;
        spin(kMillisecond);
    }
    const bool renewed = my_vcpu_info().time.version != version;
    CHECK_EQUAL(renewed, !is_stable());
}

void check_copy()
{
    vcpu_register_time_memory_area area{};
    set_xen_guest_handle(area.addr.h, &copy);
    const s64 answer = vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &area);
    if (!is_stable()) // it would not stay true
        return CHECK_EQUAL(answer, -XEN_ENOSYS);
    CHECK_EQUAL(answer, 0);
    CHECK_EQUAL(copy.tsc_to_system_mul, my_vcpu_info().time.tsc_to_system_mul);
    CHECK_EQUAL(copy.tsc_shift, my_vcpu_info().time.tsc_shift);
}

void on_timer(evtchn_port_t) {}

} // namespace

void test_main()
{
    NEED(map_shared_info() == 0);
    const vcpu_time_info& time = my_vcpu_info().time;
    CHECK_EQUAL(time.version & 1, 0);
    CHECK(time.tsc_to_system_mul != 0);
    check_monotonic();
    check_rate();
    check_copy();

    const u64 wall = wall_clock();
    CHECK(wall > kYear2020 && wall < kYear2100);
    const u64 before = system_time();
    const u64 offset = wall_clock() - before;
    spin(2 * kMillisecond);
    CHECK(wall_clock() - offset >= before + 2 * kMillisecond);

    NEED(set_event_vector() == 0);
    events::install();
    const s64 port = events::bind_virq(VIRQ_TIMER);
    NEED(port > 0);
    events::listen(static_cast<evtchn_port_t>(port), on_timer);
    const u64 slept_from = system_time();
    const u64 tsc_from   = rdtsc();
    NEED(set_timer(slept_from + 10 * kMillisecond) == 0);
    events::wait_until([&] { return system_time() >= slept_from + 10 * kMillisecond; });
    CHECK(system_time() < slept_from + kSecond);
    CHECK(rdtsc() > tsc_from);
}
