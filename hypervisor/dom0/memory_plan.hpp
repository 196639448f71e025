// SPDX-License-Identifier: Apache-2.0
//
// Which of the machine's RAM becomes dom0's, and what dom0 is told about memory. dom0's memory is
// identity-mapped, so it gets the lowest RAM there is (kernels load at 16 MiB), around what the hypervisor
// keeps; boot modules may lie inside, since the builder moves what is still needed. Pure; the frames are
// taken by whoever carries the plan out. Sizes are bytes, addresses are machine and guest addresses at once.
#pragma once

#include "platform/memory_map.hpp"

namespace vmm
{

struct Memory_plan {
    Fixed_list<Memory_range, 64> dom0; // ascending, whole pages
    u64 dom0_bytes = 0;
    u64 most_bytes = 0; // that could have been given

    // Whether all of [start, start + size) is dom0's RAM, in one piece.
    [[nodiscard]] bool contains(Hpa start, u64 size) const;
};

// `used` is what the hypervisor keeps (image, tables), apart from entries that lie in `lendable` (modules,
// the first MiB). `wanted` 0: all but a share for the hypervisor and other domains. Enomem: less than
// `wanted` is there, most_bytes says how much.
Expected<void> plan_memory(const Memory_map& host, std::span<const Memory_range> used,
                           std::span<const Memory_range> lendable, u64 wanted, Memory_plan& plan);

// dom0's memory map: the host's, where RAM that is not dom0's is unusable and `tables` is ACPI's.
using Dom0_map = Fixed_list<Memory_region, 256>;
Expected<void> make_dom0_map(const Memory_map& host, const Memory_plan& plan, Memory_range tables,
                             Dom0_map& map);

// Where in dom0's RAM the builder puts what it hands over: clear of the kernel, below 4 GiB, and the start
// info below 1 GiB.
struct Dom0_layout {
    Memory_range tables; // ACPI
    Memory_range start;  // hvm_start_info and what it points to
    Memory_range initrd; // exact size, page-aligned start; empty when there is none
};

// Enomem: no stretch of RAM is large enough beside the kernel.
Expected<Dom0_layout> place_dom0(const Memory_plan& plan, Memory_range kernel, u64 tables, u64 start,
                                 u64 initrd);

} // namespace vmm
