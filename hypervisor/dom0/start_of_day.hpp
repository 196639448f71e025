// SPDX-License-Identifier: Apache-2.0
//
// What a PVH kernel finds when it starts: hvm_start_info with memory map, module and command line in its
// memory, and the registers of vCPU 0. [xen/include/public/arch-x86/hvm/start_info.h]
#pragma once

#include "dom0/memory_plan.hpp"

#include <string_view>

namespace vmm
{

class Domain;
class Vcpu;

// Room for the structure, a full memory map and the longest command line.
inline constexpr u64 kStartOfDayBytes = 3 * kPageSize;

// E2big when it does not fit.
Expected<void> write_start_of_day(const Dom0_layout& layout, const Dom0_map& map,
                                  std::string_view command_line);

// The same map for XENMEM_memory_map.
Expected<void> store_memory_map(Domain& domain, const Dom0_map& map);

// 32-bit protected mode without paging, flat segments, EBX = start_info.
Expected<void> start_vcpu(Vcpu& vcpu, Gpa entry, Gpa start_info);

} // namespace vmm
