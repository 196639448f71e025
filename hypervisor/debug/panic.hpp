// SPDX-License-Identifier: Apache-2.0
//
// How the machine stops for good: the reason, registers, a backtrace with names, on every console, and then
// a reboot after some seconds, or a halt with `noreboot`. base/panic.hpp has the macros that lead here.
#pragma once

#include "base/format.hpp"
#include "base/panic.hpp"

namespace vmm
{

// Registers at the moment an exception was taken, as the exception stubs push them.
struct Exception_frame {
    u64 r15, r14, r13, r12, r11, r10, r9, r8;
    u64 rbp, rdi, rsi, rdx, rcx, rbx, rax;
    u64 vector, error_code;
    u64 rip, cs, rflags, rsp, ss;
};

[[noreturn]] void panic_on_exception(const Exception_frame& frame);

// The user's machine cannot run Plinth, which is no fault of Plinth: one clear line, no registers.
[[noreturn]] void refuse(std::string_view format, std::span<const Format_arg> args);

template <class... Args>
[[noreturn]] void refuse(std::string_view format, const Args&... args)
{
    refuse(format, std::span<const Format_arg>(format_args(args...)));
}

// After a panic or a refusal: stop instead of rebooting.
void set_no_reboot(bool no_reboot);

} // namespace vmm
