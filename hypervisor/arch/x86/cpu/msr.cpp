// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/cpu/msr.hpp"

namespace vmm
{

struct Fixup {
    u64 at, go_on;
};

extern "C" const Fixup fixups_start[], fixups_end[];

u64 fixup_for(u64 rip)
{
    for (const Fixup* f = fixups_start; f != fixups_end; ++f) {
        if (f->at == rip)
            return f->go_on;
    }
    return 0;
}

Expected<u64> read_msr_safely(u32 index)
{
    u32 low = 0, high = 0, failed = 1;
    asm volatile("1: rdmsr\n\t"
                 "xor %2, %2\n"
                 "2:\n\t"
                 ".pushsection .fixups, \"a\"\n\t"
                 ".quad 1b, 2b\n\t"
                 ".popsection"
                 : "+a"(low), "+d"(high), "+r"(failed)
                 : "c"(index));
    if (failed)
        return fail(Errc::enxio);
    return (u64{high} << 32) | low;
}

Expected<void> write_msr_safely(u32 index, u64 value)
{
    u32 failed = 1;
    asm volatile("1: wrmsr\n\t"
                 "xor %0, %0\n"
                 "2:\n\t"
                 ".pushsection .fixups, \"a\"\n\t"
                 ".quad 1b, 2b\n\t"
                 ".popsection"
                 : "+r"(failed)
                 : "c"(index), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32))
                 : "memory");
    if (failed)
        return fail(Errc::enxio);
    return {};
}

} // namespace vmm
