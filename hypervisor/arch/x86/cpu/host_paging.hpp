// SPDX-License-Identifier: Apache-2.0
//
// The hypervisor's own address space, final form: the image with the rights of its segments in 4 KiB pages,
// nothing writable and executable, no page below the stack; and the direct map (mm/direct_map.hpp) of all
// RAM, write-back, and everything else below 4 GiB, uncached. The image's code and constants are read-only
// in the direct map too. Replaces the tables of boot/entry.S.
#pragma once

#include "base/expected.hpp"
#include "platform/memory_map.hpp"

namespace vmm
{

struct Cpu_facts;

// Takes page tables from unused RAM below 4 GiB and adds them to `used`. Enomem.
Expected<void> build_host_page_tables(const Memory_map& map, Used_ranges& used, const Cpu_facts& cpu);
// Loads them, and turns on what protects the hypervisor from guest memory (SMEP, SMAP, UMIP). Each CPU.
void enter_host_page_tables(const Cpu_facts& cpu);
[[nodiscard]] Hpa host_page_tables();

// The stack of a CPU other than the one that booted: its upper end. Below each stack is a page that is not
// there. After the frame allocator is up. Enomem.
Expected<u64> make_cpu_stack(u32 cpu);
[[nodiscard]] bool is_below_cpu_stack(u64 address);

// Device memory above 4 GiB becomes reachable at its place in the direct map, uncached; below it always is.
// After the frame allocator is up. Enomem.
Expected<void> map_device_memory(Hpa start, u64 size);

} // namespace vmm
