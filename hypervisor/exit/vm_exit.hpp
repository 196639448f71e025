// SPDX-License-Identifier: Apache-2.0
//
// Why a vCPU stopped running, in terms no CPU vendor owns. The backends decode their own exit information
// into it with pure functions (arch/x86/decode); everything above the seam sees only this.
#pragma once

#include "base/types.hpp"

namespace vmm
{

enum class Exit_kind : u8 {
    external_interrupt, // handled by the host before enter() returned
    interrupt_window,   // the guest can take an interrupt now
    hypercall,
    cpuid,
    msr,
    hlt,
    io,
    nested_fault,
    exception, // a fault intercepted to be re-injected: vector, error code
    xsetbv,
    wbinvd,
    spinning,         // a loop with PAUSE for so long that another is waited for; RIP is still in it
    end_of_interrupt, // which the CPU has taken: of one that somebody else has to hear of
    undefined,        // an instruction guests do not have: inject #UD
    shutdown,         // triple fault
    entry_failure,    // the CPU refused the guest state
    unknown,
};

struct Msr_access {
    u32 index;
    bool write;
};

struct Io_access {
    u16 port;
    u8 size; // 1, 2 or 4 bytes
    bool in;
    bool string; // INS or OUTS
    bool rep;
};

struct Nested_fault {
    Gpa gpa;
    bool write;
    bool fetch;
    bool present;   // the translation existed, its permissions did not allow the access
    bool page_walk; // the access was the guest's own page walk
};

struct Exception_exit {
    u8 vector;
    bool has_error_code;
    u32 error_code;
};

struct Vm_exit {
    Exit_kind kind;
    // Length of the instruction that caused the exit; 0 where no instruction is to be skipped. An MSR access
    // without is one that the CPU has executed, but for its effect.
    u8 instruction_length;
    union {
        Msr_access msr;
        Io_access io;
        Nested_fault fault;
        Exception_exit exception;
        u8 vector;        // end_of_interrupt
        bool from_kernel; // hypercall: from 64-bit code of the most privileged level
        u64 code;         // unknown and entry_failure: the CPU's own exit code, for the log
    };
};

} // namespace vmm
