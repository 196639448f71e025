// SPDX-License-Identifier: Apache-2.0
//
// The IDT: every vector ends in interrupt_arrived(), which calls the handler set for it. Exceptions without
// one are looked at by the fault probe (cpu.hpp); those nobody expects print the frame and crash the guest.
#pragma once

#include "guest/types.hpp"

namespace vmm::guest
{

struct Interrupt_frame {
    u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    u64 vector;
    u64 error_code;
    u64 rip, cs, flags, rsp, ss;
};

using Interrupt_handler = void (*)(Interrupt_frame& frame);

void load_idt();
void set_handler(u8 vector, Interrupt_handler handler);
// How often the vector arrived.
[[nodiscard]] u64 interrupt_count(u8 vector);

} // namespace vmm::guest
