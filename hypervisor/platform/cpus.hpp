// SPDX-License-Identifier: Apache-2.0
//
// The physical CPUs that run vCPUs. Filled at boot, the CPU that booted first, and read only afterwards: a
// CPU that did not come up is not in here and has no number.
#pragma once

#include "base/bits.hpp"
#include "base/per_cpu.hpp"

namespace vmm
{

struct Physical_cpu {
    u32 apic_id = 0;
    u32 acpi_id = 0; // the MADT's processor UID
    // Numbers that CPUs have in common: threads of one core, users of one last-level cache, one package.
    u32 core    = 0;
    u32 cache   = 0;
    u32 package = 0;
};

struct Online_cpus {
    std::array<Physical_cpu, kMaxCpus> list{};
    u32 count = 1;
};
inline constinit Online_cpus online_cpus;

inline u32 online_cpu_count() { return online_cpus.count; }
inline u64 online_cpu_mask() { return low_bits(online_cpus.count); }

// Those that have this number in common with that CPU, which is one of them.
inline u64 cpus_alike(u32 cpu, u32 Physical_cpu::*number)
{
    u64 alike = 0;
    for (u32 other = 0; other < online_cpus.count; ++other) {
        if (online_cpus.list[other].*number == online_cpus.list[cpu].*number)
            alike |= bit(other);
    }
    return alike;
}

} // namespace vmm
