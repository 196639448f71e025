// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/intr/ipi.hpp"

#include "arch/x86/intr/local_apic_driver.hpp"
#include "arch/x86/intr/vectors.hpp"
#include "base/turns.hpp"
#include "platform/cpus.hpp"

#include <bit>

namespace vmm
{

void interrupt_cpu(u32 cpu) { host_apic::send(known_cpus.list[cpu].apic_id, kWakeVector); }

// All are sent off before the first is waited for.
void make_leave_guest(u64 cpus)
{
    cpus &= ~bit(this_cpu());
    std::array<u64, kMaxCpus> then{};
    for (u64 left = cpus; left != 0; left &= left - 1) {
        const u32 cpu = static_cast<u32>(std::countr_zero(left));
        then[cpu]     = turns::of(cpu);
        if (turns::is_out(then[cpu]))
            interrupt_cpu(cpu);
        else
            cpus &= ~bit(cpu);
    }
    for (; cpus != 0; cpus &= cpus - 1) {
        const u32 cpu = static_cast<u32>(std::countr_zero(cpus));
        while (turns::of(cpu) == then[cpu])
            __builtin_ia32_pause();
    }
}

} // namespace vmm
