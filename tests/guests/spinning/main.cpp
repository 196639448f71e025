// SPDX-License-Identifier: Apache-2.0
//
// Two vCPUs on one CPU, each of which spins with PAUSE until the other has done its part: a loop that the
// hypervisor notices, where the CPU helps it, and ends in favour of the one that is waited for. A CPU that
// does not help leaves each of them its whole slice. [SDM3 26.1.3, APM2 15.14.4]
#include "guest/clock.hpp"
#include "guest/cpu.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "guest/processors.hpp"
#include "lib/verdict.hpp"

#include <atomic>
#include <string_view>

#include <xen/sysctl.h>

using namespace vmm::guest;

const char* const kTestName = "spinning";

namespace
{

constexpr u32 kPasses = 200;
constexpr u64 kSlice  = 1'000'000; // ns, no slice is shorter

std::atomic<u32> turn{0};

void pass_on(u32 mine)
{
    while (turn.load() % 2 != mine)
        vmm::guest::pause();
    ++turn;
}

void other()
{
    for (;;)
        pass_on(1);
}

// The hypervisor's log says what the CPU offers.
bool cpu_notices_loops()
{
    static char text[32768];
    xen_sysctl op{};
    op.cmd                 = XEN_SYSCTL_readconsole;
    op.interface_version   = XEN_SYSCTL_INTERFACE_VERSION;
    op.u.readconsole.count = sizeof text;
    set_xen_guest_handle_raw(op.u.readconsole.buffer, text);
    NEED(hypercall(__HYPERVISOR_sysctl, gpa_of(&op)) == 0);
    return std::string_view(text, op.u.readconsole.count).find("PAUSE loops noticed") !=
           std::string_view::npos;
}

} // namespace

void test_main()
{
    NEED(map_shared_info() == 0);
    if (vcpu_op(VCPUOP_is_up, 1, nullptr) < 0)
        SKIP("this domain has one vCPU");
    if (!cpu_notices_loops())
        SKIP("this CPU does not tell of loops with PAUSE");
    NEED(start_processor(1, other));
    const u64 began = system_time();
    for (u32 i = 0; i < kPasses; ++i)
        pass_on(0);
    const u64 took = system_time() - began;
    print(kPasses, " turns of each in ", took / 1000, " us");
    CHECK(took < kPasses * kSlice / 2);
}
