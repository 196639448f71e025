// SPDX-License-Identifier: Apache-2.0
//
// The last two of the four answers to trouble (return an error; crash the domain; panic; assert).
// Panic where going on could leak or escalate, and say beside it why no guest can reach it. An assertion
// states what the code above already guarantees and stays in release builds. Hosted tests supply
// panic_at() themselves.
#pragma once

namespace vmm
{

[[noreturn]] void panic_at(const char* file, int line, const char* what);

} // namespace vmm

#define PANIC(what) ::vmm::panic_at(__FILE_NAME__, __LINE__, what)
#define ASSERT(condition)                                                                                    \
    do {                                                                                                     \
        if (!(condition)) [[unlikely]]                                                                       \
            ::vmm::panic_at(__FILE_NAME__, __LINE__, "assertion failed: " #condition);                       \
    } while (false)
