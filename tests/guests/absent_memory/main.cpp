// SPDX-License-Identifier: Apache-2.0
//
// Guest-physical addresses behind which there is nothing, or only something to read.
//
// What a guest reads where it has no memory is all ones, in each width and for instructions that compute with
// it; what it writes there is gone, and the guest goes on. So it is with what is written to a page that
// another domain granted for reading, which stays as its owner wrote it. Who runs where he has no
// memory, or keeps his page tables there, cannot go on: that is the end of this one domain, not of the
// machine, and what it was can be looked into and destroyed as ever. (Here a crash; Xen lets the guest fault
// for as long as it can, up to a triple fault, which is a reset.)
#include "guest/clock.hpp"
#include "guest/cpu.hpp"
#include "guest/grants.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"
#include "lib/child.hpp"
#include "lib/verdict.hpp"

#include <xen/sched.h>

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "absent_memory";

namespace
{

constexpr u64 kNothing         = 0x6000'0000; // far above what a child has; its page tables lead there
constexpr grant_ref_t kGranted = 8;
constexpr u8 kContent          = 0x5a;

enum Stage : u32 { started = 1, done };
enum Order : u32 { access = 1, run, walk, fault };

Page granted;

template <class T>
bool reads_ones_keeps_nothing(u64 address)
{
    auto* const there = at_gpa<volatile T>(address);
    const bool before = *there == static_cast<T>(~T{0});
    *there            = static_cast<T>(0x1234567890abcdef);
    return before && *there == static_cast<T>(~T{0});
}

// As drivers change one bit of a register, and look at others: by what is there, and nothing is changed.
bool computes_with(u64 address, u32 content)
{
    auto* const there = at_gpa<volatile u32>(address);
    u8 same           = 0;
    asm volatile("orl $0x100, %[there]; andl $0xff, %[there]; xorl $1, %[there]; cmpl %[content], %[there]; "
                 "sete %[same]"
                 : [there] "+m"(*there), [same] "=q"(same)
                 : [content] "r"(content)
                 : "cc");
    return same == 1 && *there == content;
}

void access_what_is_not_there()
{
    s64 wrong = 0;
    for (const u64 offset : {u64{0}, u64{8}, kPageSize - 8}) {
        const u64 at = kNothing + offset;
        wrong += !reads_ones_keeps_nothing<u8>(at) + !reads_ones_keeps_nothing<u16>(at) +
                 !reads_ones_keeps_nothing<u32>(at) + !reads_ones_keeps_nothing<u64>(at);
    }
    my_mailbox().values[0] = wrong;
    my_mailbox().values[1] = computes_with(kNothing + 0x40, ~0u);
}

void fault_without_handlers()
{
    struct [[gnu::packed]] {
        u16 limit = 0xfff;
        u64 base  = kNothing;
    } const table;
    asm volatile("lidt %0; ud2" ::"m"(table));
}

// A child that lives: it does nothing but look, and what it granted for reading stays its own.
void looks_and_lives()
{
    Child child;
    NEED(child.build());
    child.mailbox().order = access;
    NEED(child.unpause() == 0);
    NEED(child.wait_for_stage(done));
    CHECK_EQUAL(child.mailbox().values[0], 0);
    CHECK_EQUAL(child.mailbox().values[1], 1);

    const u64 there = window(1);
    const auto map  = grants::map(child.id(), kGranted, there, false);
    NEED(map.status == GNTST_okay);
    u8 byte = 0;
    CHECK_EQUAL(write_byte_safe(there, 0), kNoFault);
    CHECK_EQUAL(read_byte_safe(there, byte), kNoFault);
    CHECK_EQUAL(byte, kContent);
    CHECK(computes_with(there, kContent));
    CHECK_EQUAL(grants::unmap(map.handle, there), GNTST_okay);
    child.destroy();
}

void ends(Order order)
{
    Child child;
    NEED(child.build());
    child.mailbox().order = order;
    NEED(child.unpause() == 0);
    const u32 reason = child.wait_for_end();
    CHECK(reason == SHUTDOWN_crash || reason == SHUTDOWN_reboot);
    CHECK_EQUAL(child.mailbox().stage, started); // it came no further
    child.destroy();
}

// Each fault leads to the next, on the way to a handler. That is nobody's but the child's: it gets its turns
// of the CPU, as others do, until it is ended.
void faults_for_ever()
{
    constexpr u64 a_while = 300'000'000;
    Child child;
    NEED(child.build());
    child.mailbox().order = fault;
    NEED(child.unpause() == 0);
    NEED(child.wait_for_stage(started));
    for (const u64 end = system_time() + a_while; system_time() < end;)
        sched_op(SCHEDOP_yield, nullptr);
    CHECK_EQUAL(child.mailbox().stage, started);
    child.destroy();
}

} // namespace

void child_main()
{
    Mailbox& box = my_mailbox();
    box.stage    = started;
    switch (box.order) {
    case access: access_what_is_not_there(); break;
    case run: reinterpret_cast<void (*)()>(kNothing)(); break;
    case walk: write_cr3(kNothing); break;
    case fault: fault_without_handlers(); break;
    }
    granted.bytes[0] = kContent;
    NEED(grants::start() == 0);
    grants::allow(kGranted, 0, gfn_of(&granted), false);
    box.stage = done;
    for (;;)
        sched_op(SCHEDOP_yield, nullptr);
}

void test_main()
{
    NEED(map_shared_info() == 0);
    looks_and_lives();
    ends(run);
    ends(walk);
    faults_for_ever();
}
