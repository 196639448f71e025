// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/start_info.hpp"

#include <algorithm>
#include <cstring>

namespace vmm
{

static_assert(sizeof(hvm_start_info) == 56 && sizeof(hvm_modlist_entry) == 32 &&
              sizeof(hvm_memmap_table_entry) == 24);

namespace
{

constexpr std::size_t kModuleList = sizeof(hvm_start_info);
constexpr std::size_t kMemoryMap  = kModuleList + sizeof(hvm_modlist_entry);

constexpr std::size_t command_line_offset(std::size_t memory_map_entries)
{
    return kMemoryMap + memory_map_entries * sizeof(hvm_memmap_table_entry);
}

} // namespace

std::size_t start_info_size(std::size_t command_line_length, std::size_t memory_map_entries)
{
    return command_line_offset(memory_map_entries) + command_line_length + 1;
}

std::vector<std::byte> make_start_info(const Start_info_request& request)
{
    const std::size_t entries = request.memory_map.size();
    std::vector<std::byte> block(start_info_size(request.command_line.size(), entries));
    hvm_start_info info{};
    info.magic          = XEN_HVM_START_MAGIC_VALUE;
    info.version        = 1;
    info.cmdline_paddr  = request.address + command_line_offset(entries);
    info.rsdp_paddr     = request.rsdp;
    info.memmap_paddr   = request.address + kMemoryMap;
    info.memmap_entries = static_cast<std::uint32_t>(entries);
    if (request.initrd_size != 0) {
        info.nr_modules    = 1;
        info.modlist_paddr = request.address + kModuleList;
        const hvm_modlist_entry initrd{request.initrd, request.initrd_size, 0, 0};
        std::memcpy(block.data() + kModuleList, &initrd, sizeof initrd);
    }
    std::memcpy(block.data(), &info, sizeof info);
    std::ranges::copy(std::as_bytes(request.memory_map), block.begin() + kMemoryMap);
    std::ranges::copy(std::as_bytes(std::span(request.command_line)),
                      block.begin() + static_cast<std::ptrdiff_t>(command_line_offset(entries)));
    return block; // the byte after the command line is its terminator
}

} // namespace vmm
