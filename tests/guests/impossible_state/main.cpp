// SPDX-License-Identifier: Apache-2.0
//
// A state that no CPU runs, given to a domain by its toolstack, is that domain's end at worst. [SDM3 27.3.1;
// APM2 15.5.1]
//
// Each child is built as usual; then one thing in its CPU record is made impossible. What becomes of it is
// the CPU's to say, since vendors check different things: the call refuses it with -EINVAL, or the child is
// shut down when it is to run, or it runs as if nothing were wrong. For the first of the states there is no
// third way. In no case does the machine suffer: dom0 goes on, and a child without such a state runs.
#include "guest/clock.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/child.hpp"
#include "lib/context.hpp"
#include "lib/verdict.hpp"

#include <xen/sched.h>

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "impossible_state";

namespace
{

using Cpu_record            = HVM_SAVE_TYPE(CPU);
constexpr u64 kNotCanonical = 1ull << 47;
constexpr u64 kPatience     = 20'000'000'000;

struct State {
    const char* name;
    void (*make)(Cpu_record& cpu);
    bool may_run;
};
const State kStates[] = {
    {"CR0 with a high bit", [](auto& cpu) { cpu.cr0 |= 1ull << 40; }, false},
    {"CR4 with a high bit", [](auto& cpu) { cpu.cr4 |= 1ull << 40; }, false},
    {"EFER with a high bit", [](auto& cpu) { cpu.msr_efer |= 1ull << 40; }, false},
    {"DR7 with a high bit", [](auto& cpu) { cpu.dr7 |= 1ull << 40; }, false},
    {"CR3 beyond physical memory", [](auto& cpu) { cpu.cr3 |= 1ull << 62; }, true},
    {"RIP beyond 32-bit code", [](auto& cpu) { cpu.rip |= 1ull << 40; }, true},
    {"a task register nowhere", [](auto& cpu) { cpu.tr_base = kNotCanonical; }, true},
    {"SYSENTER to nowhere", [](auto& cpu) { cpu.sysenter_eip = kNotCanonical; }, true},
    {"SYSCALL to nowhere", [](auto& cpu) { cpu.msr_lstar = cpu.msr_cstar = kNotCanonical; }, true},
    {"SWAPGS to nowhere", [](auto& cpu) { cpu.shadow_gs = kNotCanonical; }, true},
    {"TSC_AUX with a high bit", [](auto& cpu) { cpu.msr_tsc_aux = 1ull << 40; }, true},
    {"a stack of no type", [](auto& cpu) { cpu.ss_arbytes = 0xc90; }, true},
    {"code of no type", [](auto& cpu) { cpu.cs_arbytes = 0xc91; }, true},
};

s64 spoil(const Child& child, const State& state)
{
    NEED(Context::get(child.id()) == 0);
    Cpu_record* cpu = Context::cpu();
    NEED(cpu != nullptr);
    state.make(*cpu);
    return Context::set(child.id());
}

enum class Fate { refused, ended, ran, nothing };

Fate fate_of(Child& child)
{
    const u64 deadline = system_time() + kPatience;
    while (system_time() < deadline) {
        xen_domctl_getdomaininfo info{};
        NEED(child.info(info) == 0);
        if (info.flags & XEN_DOMINF_shutdown)
            return Fate::ended;
        if (child.mailbox().stage == 1)
            return Fate::ran;
        sched_op(SCHEDOP_yield, nullptr);
    }
    return Fate::nothing;
}

Fate try_state(const State& state)
{
    Child child;
    NEED(child.build());
    const s64 answer = spoil(child, state);
    Fate fate        = Fate::refused;
    if (answer == 0) {
        NEED(child.unpause() == 0);
        fate = fate_of(child);
    } else if (answer != -XEN_EINVAL) {
        NOTE(failure, state.name, " is refused with ", answer);
    }
    child.destroy();
    return fate;
}

} // namespace

void child_main()
{
    my_mailbox().stage = 1;
    for (;;)
        sched_op(SCHEDOP_yield, nullptr);
}

void test_main()
{
    NEED(map_shared_info() == 0);
    for (const State& state : kStates) {
        const Fate fate = try_state(state);
        print(state.name, ": ", fate == Fate::refused ? "refused" : fate == Fate::ended ? "ended" : "ran");
        if (fate == Fate::nothing)
            NOTE(failure, state.name, ": the child neither runs nor ends");
        if (fate == Fate::ran && !state.may_run)
            NOTE(failure, state.name, ": the child runs, as if that could be");
    }
    const Fate plain = try_state({"nothing", [](Cpu_record&) {}, true});
    CHECK(plain == Fate::ran);
}
