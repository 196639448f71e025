// SPDX-License-Identifier: Apache-2.0
//
// What the HVM context of a domain has besides general and system registers: the breakpoint addresses DR0 to
// DR3, and SPEC_CTRL where CPUID shows it, in a record of its own (CPU_MSR) that is there when the register
// is not 0. A domain that gets them runs with them; one that wrote them has them in its context. An MSR that
// is not saved this way is refused. (QEMU's interpreter has no SPEC_CTRL: there it is 0 again when the domain
// has run.)
#include "guest/cpu.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/child.hpp"
#include "lib/context.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "saved_registers";

namespace
{

constexpr u32 kSpecCtrl = 0x48;
constexpr u64 kIbrs     = 1;

constexpr u64 kGiven[]   = {0x1000, 0x2000, 0x3000, 0x7fff'ffff'4000};
constexpr u64 kWritten[] = {0xa000, 0xb000, 0xc000, 0x7fff'ffff'd000};

struct Msr_record {
    u32 count    = 1;
    u32 reserved = 0;
    u32 index;
    u32 reserved_too = 0;
    u64 value;
};

bool has_ibrs() { return cpuid(0).eax >= 7 && (cpuid(7).edx & (1u << 26)); }

void read_addresses(u64 (&to)[4])
{
    asm volatile("mov %%db0, %0" : "=r"(to[0]));
    asm volatile("mov %%db1, %0" : "=r"(to[1]));
    asm volatile("mov %%db2, %0" : "=r"(to[2]));
    asm volatile("mov %%db3, %0" : "=r"(to[3]));
}

void write_addresses(const u64 (&from)[4])
{
    asm volatile("mov %0, %%db0" ::"r"(from[0]));
    asm volatile("mov %0, %%db1" ::"r"(from[1]));
    asm volatile("mov %0, %%db2" ::"r"(from[2]));
    asm volatile("mov %0, %%db3" ::"r"(from[3]));
}

u64 spec_ctrl()
{
    u64 value = 0;
    NEED(rdmsr_safe(kSpecCtrl, value) == kNoFault);
    return value;
}

void give(const Child& child)
{
    NEED(Context::get(child.id()) == 0);
    auto* cpu = Context::cpu();
    NEED(cpu != nullptr);
    cpu->dr0 = kGiven[0], cpu->dr1 = kGiven[1], cpu->dr2 = kGiven[2], cpu->dr3 = kGiven[3];
    CHECK(Context::find<Msr_record>(CPU_MSR_CODE) == nullptr);
    if (has_ibrs()) {
        const Msr_record msr{.index = kSpecCtrl, .value = kIbrs};
        Context::append(CPU_MSR_CODE, &msr, sizeof msr);
    }
    CHECK(Context::set(child.id()) == 0);
    if (has_ibrs()) {
        CHECK(Context::get(child.id()) == 0);
        const auto* msr = Context::find<Msr_record>(CPU_MSR_CODE);
        NEED(msr != nullptr);
        CHECK(msr->count == 1 && msr->index == kSpecCtrl && msr->value == kIbrs);
    }
}

void refuse(const Child& child)
{
    constexpr u32 kSyscallTarget = 0xc0000082;
    NEED(Context::get(child.id()) == 0);
    const Msr_record msr{.index = kSyscallTarget, .value = 0x1000};
    Context::append(CPU_MSR_CODE, &msr, sizeof msr);
    CHECK(Context::set(child.id()) < 0);
}

} // namespace

void child_main()
{
    u64 found[4]{};
    read_addresses(found);
    for (u32 i = 0; i < 4; ++i)
        my_mailbox().values[i] = static_cast<s64>(found[i]);
    write_addresses(kWritten);
    if (has_ibrs()) {
        my_mailbox().values[4] = static_cast<s64>(spec_ctrl());
        NEED(wrmsr_safe(kSpecCtrl, kIbrs) == kNoFault);
        my_mailbox().values[5] = static_cast<s64>(spec_ctrl());
    }
    my_mailbox().stage = 1;
    for (;;)
        sched_op(SCHEDOP_yield, nullptr);
}

void test_main()
{
    NEED(map_shared_info() == 0);
    Child child;
    NEED(child.build());
    refuse(child);
    give(child);
    NEED(child.unpause() == 0);
    NEED(child.wait_for_stage(1));
    const auto& values = child.mailbox().values;
    for (u32 i = 0; i < 4; ++i)
        CHECK(static_cast<u64>(values[i]) == kGiven[i]);
    const bool keeps = values[5] != 0;
    print("SPEC_CTRL: ", keeps ? "kept" : "not there, or forgotten");
    CHECK(!keeps || values[4] == static_cast<s64>(kIbrs));

    NEED(child.control(XEN_DOMCTL_pausedomain) == 0);
    NEED(Context::get(child.id()) == 0);
    const auto* cpu = Context::cpu();
    NEED(cpu != nullptr);
    CHECK(cpu->dr0 == kWritten[0] && cpu->dr1 == kWritten[1]);
    CHECK(cpu->dr2 == kWritten[2] && cpu->dr3 == kWritten[3]);
    const auto* msr = Context::find<Msr_record>(CPU_MSR_CODE);
    CHECK((msr != nullptr) == keeps);
    CHECK(!msr || (msr->count == 1 && msr->index == kSpecCtrl && msr->value == kIbrs));
    child.destroy();
}
