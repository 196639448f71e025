// SPDX-License-Identifier: Apache-2.0
//
// Places a guest registers: its vcpu_info and its runstate. [xen/include/public/vcpu.h]
//
// vcpu_info can be moved out of the shared page once, to any memory of the guest that it does not cross a
// page boundary in; after the move events are announced there and the old place is dead, and whatever was
// pending is announced again. A place across a page is -ENXIO, a second move -EINVAL, a frame
// that is not the guest's memory too, an id that does not exist -ENOENT.
//
// The runstate area is written when the vCPU's state changes: it says running while the guest looks, its
// times add up to the time since the vCPU was made and never shrink, and blocked grows while the guest
// halts. It may cross a page. VCPUOP_get_runstate_info tells the same.
#include "guest/clock.hpp"
#include "guest/cpu.hpp"
#include "guest/events.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;

const char* const kTestName = "vcpu_areas";

namespace
{

constexpr u64 kMillisecond = 1'000'000;

alignas(4096) vcpu_info infos[64];
constinit Page two_pages[2]{};

u32 calls = 0;
void count(evtchn_port_t) { calls = calls + 1; }

s64 try_register(u32 vcpu, u64 mfn, u32 offset)
{
    vcpu_register_vcpu_info where{};
    where.mfn    = mfn;
    where.offset = offset;
    return vcpu_op(VCPUOP_register_vcpu_info, vcpu, &where);
}

void check_vcpu_info()
{
    const s64 bound = events::bind_ipi(0);
    NEED(bound > 0);
    const auto port = static_cast<evtchn_port_t>(bound);
    events::listen(port, count);

    CHECK_EQUAL(try_register(0, gfn_of(infos), 4096 - 32), -XEN_ENXIO);
    CHECK_EQUAL(try_register(0, 0x60000, 0), -XEN_EINVAL); // no memory there
    CHECK_EQUAL(try_register(9, gfn_of(infos), 0), -XEN_ENOENT);

    vcpu_info& old = my_vcpu_info();
    CHECK_EQUAL(register_vcpu_info(0, infos[3]), 0);
    CHECK_EQUAL(infos[3].evtchn_upcall_pending, 1);
    breathe();
    old.evtchn_upcall_pending = 0;
    calls                     = 0;
    CHECK_EQUAL(events::send(port), 0);
    CHECK_EQUAL(infos[3].evtchn_upcall_pending, 1);
    CHECK_EQUAL(old.evtchn_upcall_pending, 0);
    breathe();
    CHECK_EQUAL(calls, 1);
    CHECK(infos[3].time.tsc_to_system_mul != 0);
    CHECK_EQUAL(try_register(0, gfn_of(infos), 0), -XEN_EINVAL);
    CHECK_EQUAL(events::close(port), 0);
}

u64 total(const vcpu_runstate_info& r) { return r.time[0] + r.time[1] + r.time[2] + r.time[3]; }

void check_runstate()
{
    auto& area = *two_pages[0].as<vcpu_runstate_info>(kPageSize - 20);
    vcpu_register_runstate_memory_area where{};
    where.addr.v = &area;
    CHECK_EQUAL(vcpu_op(VCPUOP_register_runstate_memory_area, 0, &where), 0);
    CHECK_EQUAL(area.state, RUNSTATE_running);
    vcpu_runstate_info before = area;

    const s64 timer = events::bind_virq(VIRQ_TIMER);
    NEED(timer > 0);
    events::listen(static_cast<evtchn_port_t>(timer), count);
    calls = 0;
    NEED(set_timer(system_time() + 100 * kMillisecond) == 0);
    events::wait_until([&] { return calls != 0; });
    CHECK_EQUAL(area.state, RUNSTATE_running);
    // Most of the 100 ms; an overloaded machine underneath may stop the guest before it halts.
    CHECK(area.time[RUNSTATE_blocked] >= before.time[RUNSTATE_blocked] + 20 * kMillisecond);
    CHECK(area.time[RUNSTATE_running] >= before.time[RUNSTATE_running]);
    CHECK(total(area) >= total(before));

    vcpu_runstate_info asked{};
    CHECK_EQUAL(vcpu_op(VCPUOP_get_runstate_info, 0, &asked), 0);
    CHECK_EQUAL(asked.state, RUNSTATE_running);
    CHECK(asked.time[RUNSTATE_running] >= area.time[RUNSTATE_running]);
    CHECK_EQUAL(vcpu_op(VCPUOP_get_runstate_info, 9, &asked), -XEN_ENOENT);
}

} // namespace

void test_main()
{
    NEED(map_shared_info() == 0);
    NEED(set_event_vector() == 0);
    events::install();
    check_vcpu_info();
    check_runstate();
    CHECK_EQUAL(vcpu_op(VCPUOP_is_up, 0, nullptr), 1);
    CHECK_EQUAL(vcpu_op(99, 0, nullptr), -XEN_ENOSYS);
}
