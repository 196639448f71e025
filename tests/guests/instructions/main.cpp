// SPDX-License-Identifier: Apache-2.0
//
// Instructions that a guest's kernel may execute and a hypervisor has to answer for. [APM2 15.9; SDM3 26.1]
//
// Those of virtualisation itself, of both vendors, are undefined, and so is what CPUID does not offer:
// MONITOR, MWAIT, leaving SMM, measured launch. Caches may be written back and be dropped, which drops
// nothing that the guest or anybody else wrote. Debug registers keep what they are given and refuse high bits
// in DR7. It is the same in dom0 and in another domain, and none of it is anybody's end.
//
// (QEMU's TCG tells of INVD as of WBINVD. Xen, which wants to see that instruction there, makes it #GP.)
#include "guest/cpu.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/child.hpp"
#include "lib/verdict.hpp"

#include <xen/sched.h>

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "instructions";

namespace
{

constexpr u32 kUndefined = 6, kGeneralProtection = 13;

struct Attempt {
    const char* name;
    u32 vector;
    u8 code[16]; // ends with RET
};

constexpr Attempt kAttempts[] = {
    {"INVD", kNoFault, {0x0f, 0x08, 0xc3}},
    {"WBINVD", kNoFault, {0x0f, 0x09, 0xc3}},
    {"WBNOINVD", kNoFault, {0xf3, 0x0f, 0x09, 0xc3}},
    {"INVLPG", kNoFault, {0x0f, 0x01, 0x38, 0xc3}},
    {"CLTS", kNoFault, {0x0f, 0x06, 0xc3}},
    {"PAUSE", kNoFault, {0xf3, 0x90, 0xc3}},
    {"MONITOR", kUndefined, {0x48, 0x89, 0xe0, 0x31, 0xc9, 0x31, 0xd2, 0x0f, 0x01, 0xc8, 0xc3}},
    {"MWAIT", kUndefined, {0x31, 0xc9, 0x31, 0xc0, 0x0f, 0x01, 0xc9, 0xc3}},
    {"RSM", kUndefined, {0x0f, 0xaa, 0xc3}},
    {"GETSEC", kUndefined, {0x31, 0xc0, 0x0f, 0x37, 0xc3}},
    {"VMRUN", kUndefined, {0x31, 0xc0, 0x0f, 0x01, 0xd8, 0xc3}},
    {"VMLOAD", kUndefined, {0x31, 0xc0, 0x0f, 0x01, 0xda, 0xc3}},
    {"VMSAVE", kUndefined, {0x31, 0xc0, 0x0f, 0x01, 0xdb, 0xc3}},
    {"STGI", kUndefined, {0x0f, 0x01, 0xdc, 0xc3}},
    {"CLGI", kUndefined, {0x0f, 0x01, 0xdd, 0xc3}},
    {"SKINIT", kUndefined, {0x31, 0xc0, 0x0f, 0x01, 0xde, 0xc3}},
    {"INVLPGA", kUndefined, {0x31, 0xc0, 0x31, 0xc9, 0x0f, 0x01, 0xdf, 0xc3}},
    {"VMXON", kUndefined, {0xf3, 0x0f, 0xc7, 0x34, 0x24, 0xc3}},
    {"VMCLEAR", kUndefined, {0x66, 0x0f, 0xc7, 0x34, 0x24, 0xc3}},
    {"VMPTRLD", kUndefined, {0x0f, 0xc7, 0x34, 0x24, 0xc3}},
    {"VMREAD", kUndefined, {0x31, 0xc0, 0x0f, 0x78, 0xc0, 0xc3}},
    {"VMLAUNCH", kUndefined, {0x0f, 0x01, 0xc2, 0xc3}},
    {"VMXOFF", kUndefined, {0x0f, 0x01, 0xc4, 0xc3}},
    {"INVEPT", kUndefined, {0x31, 0xc0, 0x66, 0x0f, 0x38, 0x80, 0x04, 0x24, 0xc3}},
    {"INVVPID", kUndefined, {0x31, 0xc0, 0x66, 0x0f, 0x38, 0x81, 0x04, 0x24, 0xc3}},
    {"MOV to DR7, high",
     kGeneralProtection,
     {0x48, 0xb8, 0x00, 0x04, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x0f, 0x23, 0xf8, 0xc3}},
};
constexpr u32 kCount = sizeof kAttempts / sizeof kAttempts[0];

Page written;

u64 through_dr0(u64 value)
{
    u64 back = 0;
    asm volatile("mov %1, %%dr0; mov %%dr0, %0" : "=r"(back) : "r"(value));
    return back;
}

// Calls told(index, vector) for each that answers otherwise.
template <class Told>
void try_all(const Told& told)
{
    for (u32 i = 0; i < kCount; ++i) {
        written.bytes[i] = static_cast<u8>(i + 1);
        if (const u32 vector = call_safe(kAttempts[i].code); vector != kAttempts[i].vector)
            told(i, vector);
    }
    for (u32 i = 0; i < kCount; ++i)
        CHECK_EQUAL(written.bytes[i], i + 1);
    CHECK_EQUAL(through_dr0(0x12345), 0x12345);
}

} // namespace

void child_main()
{
    Mailbox& box = my_mailbox();
    try_all([&](u32 index, u32 vector) {
        box.values[0] = index + 1;
        box.values[1] = vector;
    });
    box.values[2] = verdict() == Verdict::success;
    box.stage     = 1;
    for (;;)
        sched_op(SCHEDOP_yield, nullptr);
}

void test_main()
{
    NEED(map_shared_info() == 0);
    try_all([](u32 index, u32 vector) {
        NOTE(failure, "in dom0, ", kAttempts[index].name, " ends with ", hex(vector));
    });

    Child child;
    NEED(child.build());
    NEED(child.unpause() == 0);
    NEED(child.wait_for_stage(1));
    const Mailbox& box = child.mailbox();
    if (box.values[0] != 0)
        NOTE(failure, "in a domU, ", kAttempts[box.values[0] - 1].name, " ends with ",
             hex(static_cast<u64>(box.values[1])));
    CHECK_EQUAL(box.values[2], 1);
    child.destroy();
}
