// SPDX-License-Identifier: Apache-2.0
//
// One-shot timers: VCPUOP_set_singleshot_timer and its VIRQ_TIMER.
//
// Deadlines from 50 microseconds to 20 milliseconds arrive, never early, and not absurdly late (the test
// allows for a busy machine under it). A timer fires once. Setting it again replaces the deadline, earlier
// or later; stopping it means silence. A deadline in the past fires at once; a caller that wants future ones
// only may be told -ETIME instead. While it waits the guest halts, so the interrupt also has to end the
// halt. HYPERVISOR_set_timer_op is the older way to the same timer.
#include "guest/clock.hpp"
#include "guest/cpu.hpp"
#include "guest/events.hpp"
#include "guest/hypercall.hpp"
#include "lib/timer_event.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "timer";

namespace
{

constexpr u64 kMicrosecond = 1000;
constexpr u64 kMillisecond = 1000 * kMicrosecond;
constexpr u64 kSecond      = 1000 * kMillisecond;
constexpr u64 kPatience    = 20 * kSecond; // with what has to come
constexpr u32 kAttempts    = 5;            // with what an overloaded machine underneath may spoil

u64 fired_at = 0;
u32 fired    = 0;

void on_timer(evtchn_port_t)
{
    fired_at = system_time();
    fired    = fired + 1;
}

// Not before `delay` has passed, and not absurdly long after it: at one attempt at least.
void wait_for(u64 delay)
{
    bool in_time = false;
    for (u32 attempt = 0; attempt < kAttempts && !in_time; ++attempt) {
        const u32 before   = fired;
        const u64 deadline = system_time() + delay;
        NEED(set_timer(deadline) == 0);
        events::wait_until([&] { return fired != before; });
        CHECK(fired_at >= deadline);
        in_time = fired_at <= deadline + 500 * kMillisecond;
    }
    CHECK(in_time);
}

// Looks for events for that long, or until one came, without sleeping.
bool fires_within(u64 ns)
{
    const u32 before = fired;
    const u64 end    = system_time() + ns;
    while (fired == before && system_time() < end)
        breathe();
    return fired != before;
}

// Sets a timer and does `change` to it before it is due, after which nothing is heard of it.
template <typename Change>
void set_and(Change change)
{
    bool in_time = false;
    for (u32 attempt = 0; attempt < kAttempts && !in_time; ++attempt) {
        const u64 deadline = system_time() + 200 * kMillisecond;
        NEED(set_timer(deadline) == 0);
        change();
        in_time = system_time() < deadline;
    }
    CHECK(in_time);
    CHECK(!fires_within(300 * kMillisecond));
}

} // namespace

void test_main()
{
    listen_to_timer(on_timer);

    for (const u64 delay : {50 * kMicrosecond, 300 * kMicrosecond, kMillisecond, 20 * kMillisecond})
        wait_for(delay);

    CHECK(!fires_within(5 * kMillisecond)); // once is once

    NEED(set_timer(system_time() + 10 * kSecond) == 0);
    wait_for(kMillisecond);                                               // earlier replaces later
    set_and([] { NEED(set_timer(system_time() + 100 * kSecond) == 0); }); // later replaces earlier
    set_and([] { CHECK_EQUAL(vcpu_op(VCPUOP_stop_singleshot_timer, 0, nullptr), 0); });

    CHECK_EQUAL(set_timer(system_time() - kMillisecond), 0);
    CHECK(fires_within(kPatience));
    CHECK_EQUAL(hypercall(__HYPERVISOR_set_timer_op, system_time() + kMillisecond), 0);
    CHECK(fires_within(kPatience));

    // The flag may be ignored; if it is not, the timer is not set either.
    const s64 future_only = set_timer(system_time() - kMillisecond, true);
    CHECK(future_only == 0 || future_only == -XEN_ETIME);
    CHECK_EQUAL(fires_within(future_only == 0 ? kPatience : 300 * kMillisecond), future_only == 0);

    vcpu_set_singleshot_timer timer{};
    CHECK_EQUAL(vcpu_op(VCPUOP_set_singleshot_timer, 9, &timer), -XEN_ENOENT);
    CHECK_EQUAL(vcpu_op(VCPUOP_stop_periodic_timer, 0, nullptr), 0);
}
