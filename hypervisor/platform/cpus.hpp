// SPDX-License-Identifier: Apache-2.0
//
// The physical CPUs that came up. Filled at boot, the CPU that booted first, and read only afterwards: a CPU
// that did not come up is not in here and has no number.
#pragma once

#include "base/per_cpu.hpp"

namespace vmm
{

struct Physical_cpu {
    u32 apic_id = 0;
    u32 acpi_id = 0; // the MADT's processor UID
};

struct Started_cpus {
    std::array<Physical_cpu, kMaxCpus> list{};
    u32 count = 1;
};
inline constinit Started_cpus started_cpus;

} // namespace vmm
