// SPDX-License-Identifier: Apache-2.0
#pragma once
// The PVH start info (<xen/arch-x86/hvm/start_info.h>, version 1) and what it points to, as one block of
// bytes for a given guest-physical address: start info, module list, memory map, command line.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <xen/arch-x86/hvm/start_info.h>

namespace vmm
{

struct Start_info_request {
    std::uint64_t address     = 0; // of the block
    std::uint64_t rsdp        = 0;
    std::uint64_t initrd      = 0;
    std::uint64_t initrd_size = 0; // 0: no module list
    std::string_view command_line;
    std::span<const hvm_memmap_table_entry> memory_map;
};

[[nodiscard]] std::size_t start_info_size(std::size_t command_line_length, std::size_t memory_map_entries);
[[nodiscard]] std::vector<std::byte> make_start_info(const Start_info_request& request);

} // namespace vmm
