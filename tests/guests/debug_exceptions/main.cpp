// SPDX-License-Identifier: Apache-2.0
//
// Debug exceptions are the guest's, wherever they come up. [SDM3 18.2, 27.3.1.5; APM2 13.1]
//
// A single step over STI, or INT1 in the shadow of a load of SS: interrupts are held back there, and still
// #DB comes, with RIP behind the instruction. INT1 is done when its handler returns. A watched write is told
// in DR6. (QEMU's interpreter steps over one instruction more behind STI, and has no INT1 for guests.)
#include "guest/interrupts.hpp"
#include "guest/platform.hpp"
#include "guest/print.hpp"
#include "lib/verdict.hpp"

using namespace vmm::guest;
using namespace vmm::guest_test;

const char* const kTestName = "debug_exceptions";

namespace
{

constexpr u8 kUndefined    = 6;
constexpr u8 kDebug        = 1;
constexpr u64 kTrapFlag    = 1u << 8;
constexpr u64 kWatchedByte = 1u << 0 | 1u << 16; // DR7: breakpoint 0, in this task, writes, one byte
constexpr u64 kNoWatch     = 0x400;

constinit u32 arrived   = 0;
constinit u64 last_rip  = 0;
constinit u64 first_rip = 0;
constinit u64 status    = 0; // DR6
constinit bool has_int1 = true;

void handle_debug(Interrupt_frame& frame)
{
    if (arrived++ == 0)
        first_rip = frame.rip;
    last_rip = frame.rip;
    asm volatile("mov %%dr6, %0; mov %1, %%dr6" : "=&r"(status) : "r"(u64{0xffff0ff0}));
    frame.flags &= ~kTrapFlag;
}

void skip_int1(Interrupt_frame& frame)
{
    has_int1 = false;
    frame.rip += 1;
}

void forget() { arrived = 0, first_rip = last_rip = status = 0; }

// Where #DB is to be found, by a label behind the instruction.
void steps_over_sti()
{
    u64 behind = 0;
    forget();
    asm volatile("cli; lea 1f(%%rip), %[behind]; pushf; orq %[trap], (%%rsp); popf; sti; 1: nop; cli"
                 : [behind] "=&r"(behind)
                 : [trap] "i"(kTrapFlag)
                 : "memory", "cc");
    CHECK_EQUAL(arrived, 1);
    CHECK(last_rip - behind <= 1);
    CHECK((status & (1u << 14)) != 0);
}

void interrupts_itself()
{
    u64 behind = 0;
    forget();
    asm volatile("lea 1f(%%rip), %[behind]; .byte 0xf1; 1: nop" : [behind] "=&r"(behind)::"memory", "cc");
    CHECK_EQUAL(arrived, 1);
    CHECK_EQUAL(last_rip, behind);
}

void interrupts_itself_behind_ss()
{
    u64 behind = 0;
    forget();
    asm volatile("lea 1f(%%rip), %[behind]; mov %%ss, %%ecx; pushf; orq %[trap], (%%rsp); popf;"
                 "mov %%ecx, %%ss; .byte 0xf1; 1: nop"
                 : [behind] "=&r"(behind)
                 : [trap] "i"(kTrapFlag)
                 : "rcx", "memory", "cc");
    CHECK(arrived >= 1);
    CHECK_EQUAL(last_rip, behind);
}

void watches()
{
    static volatile u8 watched = 0;
    forget();
    asm volatile("mov %0, %%dr0; mov %1, %%dr7" ::"r"(&watched), "r"(kWatchedByte | kNoWatch));
    watched = 1;
    asm volatile("mov %0, %%dr7" ::"r"(kNoWatch) : "memory");
    CHECK_EQUAL(arrived, 1);
    CHECK_EQUAL(status & 0xf, 1);
}

} // namespace

void test_main()
{
    set_handler(kDebug, handle_debug);
    watches();
    steps_over_sti();
    set_handler(kUndefined, skip_int1);
    asm volatile(".byte 0xf1");
    print(has_int1 ? "INT1 is there" : "no INT1");
    if (has_int1) {
        interrupts_itself();
        interrupts_itself_behind_ss();
    }
}
