// SPDX-License-Identifier: Apache-2.0
//
// The last resort of a reboot.
#pragma once

namespace vmm
{

// An exception without an IDT: the CPU gives up and the chipset resets it. [SDM3 6.15, #DF]
#if __STDC_HOSTED__
[[noreturn]] void triple_fault();
#else
[[noreturn]] inline void triple_fault()
{
    struct [[gnu::packed]] {
        unsigned short limit = 0;
        unsigned long base   = 0;
    } empty;
    for (;;)
        asm volatile("lidt %0; int3" ::"m"(empty));
}
#endif

} // namespace vmm
