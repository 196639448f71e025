// SPDX-License-Identifier: Apache-2.0
//
// What the boot stages find out, for later stages and for dom0's builder. Filled stage by stage before
// anything else runs, read only afterwards.
#pragma once

#include "arch/x86/cpu/features.hpp"
#include "dom0/memory_plan.hpp"
#include "platform/acpi.hpp"
#include "platform/boot_info.hpp"
#include "platform/command_line.hpp"
#include "platform/memory_map.hpp"

namespace vmm
{

struct Boot_state {
    Boot_info loader;
    Options options;
    Cpu_facts cpu;
    Memory_map memory;
    Used_ranges used; // RAM that is not in the frame allocator, besides the first MiB
    Memory_plan dom0; // what of it dom0 gets
    Acpi_tables acpi;
    Madt_info madt;
    Fadt_info fadt;
    Mcfg_info mcfg;
};

extern Boot_state boot_state;

// The firmware's and the loader's memory, and ACPI tables.
const Physical_reader& physical_memory();
// Whether all of it is within that, and so in the direct map.
bool is_readable(Hpa from, u64 size);

} // namespace vmm
