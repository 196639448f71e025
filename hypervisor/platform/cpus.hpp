// SPDX-License-Identifier: Apache-2.0
//
// The physical CPUs. Filled at boot, the CPU that booted first, and the list is only read afterwards: a CPU
// that did not come up is not in here and has no number. All of them run vCPUs, but for those that were taken
// offline since, by control calls (hypercall/cpu_hotplug.hpp).
#pragma once

#include "base/bits.hpp"
#include "base/per_cpu.hpp"

#include <atomic>

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

struct Known_cpus {
    std::array<Physical_cpu, kMaxCpus> list{};
    u32 count = 1;
    std::atomic<u64> offline{0};
};
inline constinit Known_cpus known_cpus;

inline u32 cpu_count() { return known_cpus.count; }
inline u64 online_cpu_mask() { return low_bits(known_cpus.count) & ~known_cpus.offline.load(); }
inline bool is_online(u32 cpu) { return cpu < kMaxCpus && (online_cpu_mask() & bit(cpu)) != 0; }

// Those that have this number in common with that CPU, which is one of them.
inline u64 cpus_alike(u32 cpu, u32 Physical_cpu::*number)
{
    u64 alike = 0;
    for (u32 other = 0; other < known_cpus.count; ++other) {
        if (known_cpus.list[other].*number == known_cpus.list[cpu].*number)
            alike |= bit(other);
    }
    return alike;
}

} // namespace vmm
