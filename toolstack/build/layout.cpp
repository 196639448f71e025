// SPDX-License-Identifier: Apache-2.0
#include "toolstack/build/layout.hpp"

#include <algorithm>
#include <string>

namespace vmm
{

namespace
{

std::string mib(std::uint64_t bytes) { return std::to_string((bytes + (1U << 20) - 1) >> 20) + " MiB"; }

} // namespace

std::uint64_t Guest_layout::pages() const
{
    constexpr std::uint64_t kRingPages = 2;
    return (low_ram + high_ram + acpi_size) / kPageSize + kRingPages;
}

std::vector<hvm_memmap_table_entry> Guest_layout::memory_map() const
{
    std::vector<hvm_memmap_table_entry> map{
        {0, low_ram, XEN_HVM_MEMMAP_TYPE_RAM, 0},
        {kAcpiAddress, acpi_size, XEN_HVM_MEMMAP_TYPE_ACPI, 0},
        {kSpecialPages, kSpecialPagesEnd - kSpecialPages, XEN_HVM_MEMMAP_TYPE_RESERVED, 0},
    };
    if (high_ram != 0) {
        map.push_back({kHighRamStart, high_ram, XEN_HVM_MEMMAP_TYPE_RAM, 0});
    }
    return map;
}

Guest_layout memory_layout(std::uint64_t memory, std::uint64_t acpi_size)
{
    Guest_layout layout;
    layout.low_ram   = std::min(memory, kLowRamEnd);
    layout.high_ram  = memory - layout.low_ram;
    layout.acpi_size = round_up_to_page(acpi_size);
    return layout;
}

Result<Guest_layout> make_layout(const Layout_request& request)
{
    Guest_layout layout     = memory_layout(request.memory, request.acpi_size);
    // Right behind the kernel, as other builders do: kernels protect what the start info points to before
    // they use any memory of their own.
    layout.initrd           = round_up_to_page(request.kernel_end);
    layout.start_info       = layout.initrd + round_up_to_page(request.initrd_size);
    const std::uint64_t end = layout.start_info + round_up_to_page(request.info_size);
    if (end > layout.low_ram) {
        std::string why = "the kernel is loaded up to " + mib(request.kernel_end);
        if (request.initrd_size != 0) {
            why += " and its initrd takes another " + mib(request.initrd_size);
        }
        const bool can_help = end <= kLowRamEnd;
        return fail(Errc::out_of_memory,
                    std::to_string(request.memory >> 20) + " MiB of memory are too little: " + why +
                        (can_help ? "; give it at least " + mib(end) + ", better twice that"
                                  : "; both must lie below " + mib(kLowRamEnd)));
    }
    return layout;
}

} // namespace vmm
