// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where everything of a new PVH domain lies in its guest-physical memory: RAM below and above the hole under
// 4 GiB, the two shared ring pages, ACPI tables, kernel, initrd and start info. Pure arithmetic on numbers
// checked before; it touches no memory. Addresses and sizes are bytes. There is no VGA or BIOS hole: 0..1 MiB
// is RAM, so old probes there read zeros instead of reaching for devices that do not exist.

#include "toolstack/base/error.hpp"
#include "toolstack/xen/types.hpp"

#include <cstdint>
#include <vector>

#include <xen/arch-x86/hvm/start_info.h>

namespace vmm
{

inline constexpr std::uint64_t kLowRamEnd       = 0xf0000000; // RAM stops here and goes on at 4 GiB
inline constexpr std::uint64_t kHighRamStart    = 0x100000000;
inline constexpr std::uint64_t kAcpiAddress     = 0xfc000000;
inline constexpr std::uint64_t kSpecialPages    = 0xfeff8000; // eight page slots, of which two are used
inline constexpr std::uint64_t kSpecialPagesEnd = 0xff000000;
inline constexpr Gfn kStorePage                 = gfn_of(kSpecialPages + 4 * kPageSize);
inline constexpr Gfn kConsolePage               = gfn_of(kSpecialPages + 7 * kPageSize);

struct Layout_request {
    std::uint64_t memory       = 0; // RAM, a multiple of the page size
    std::uint64_t kernel_begin = 0; // what the kernel's segments span
    std::uint64_t kernel_end   = 0;
    std::uint64_t initrd_size  = 0; // 0: none
    std::uint64_t info_size    = 0; // start info, lists and command line
    std::uint64_t acpi_size    = 0;
};

struct Guest_layout {
    std::uint64_t low_ram    = 0; // [0, low_ram)
    std::uint64_t high_ram   = 0; // [4 GiB, 4 GiB + high_ram)
    std::uint64_t initrd     = 0;
    std::uint64_t start_info = 0;
    std::uint64_t acpi_size  = 0; // whole pages

    // All memory the domain is given: RAM, ring pages and ACPI.
    [[nodiscard]] std::uint64_t pages() const;
    [[nodiscard]] std::vector<hvm_memmap_table_entry> memory_map() const;
};

inline constexpr std::size_t kMemoryMapEntries = 4; // at most

[[nodiscard]] constexpr std::uint64_t round_up_to_page(std::uint64_t bytes)
{
    return (bytes + kPageSize - 1) & ~std::uint64_t{kPageSize - 1};
}

// What does not depend on the kernel: where there may be memory at all.
[[nodiscard]] Guest_layout memory_layout(std::uint64_t memory, std::uint64_t acpi_size);

[[nodiscard]] Result<Guest_layout> make_layout(const Layout_request& request);

} // namespace vmm
