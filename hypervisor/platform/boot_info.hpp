// SPDX-License-Identifier: Apache-2.0
//
// What the boot loader told us, in one form for all loaders. Everything is copied, so that it stays when the
// loader's own structures (which lie in memory that is marked free) are overwritten; the modules' contents
// are where the loader put them. Filled once, read only afterwards.
#pragma once

#include "base/expected.hpp"
#include "platform/efi.hpp"
#include "platform/fixed_list.hpp"
#include "platform/physical_reader.hpp"

namespace vmm
{

// Numbers as the firmware's E820 call and ACPI use them. [ACPI 15.2]
enum class Memory_type : u32 { ram = 1, reserved = 2, acpi = 3, nvs = 4, unusable = 5 };

struct Memory_region {
    Hpa start;
    u64 size;
    Memory_type type;

    [[nodiscard]] constexpr Hpa end() const { return start + size; }
};

struct Boot_module {
    Hpa start;
    Hpa end;
    Fixed_text<2048> command_line;

    [[nodiscard]] constexpr u64 size() const { return end - start; }
};

// In the order Multiboot has it.
struct Framebuffer {
    enum class Kind : u8 { none, rgb, text }; // 0 with an address: a palette, which is as good as none

    Hpa address;
    u32 pitch         = 0; // bytes per line
    u32 width         = 0; // pixels, or characters
    u32 height        = 0;
    u8 bits_per_pixel = 0;
    Kind kind         = Kind::none;
    u8 red_position   = 0;
    u8 red_size       = 0;
    u8 green_position = 0;
    u8 green_size     = 0;
    u8 blue_position  = 0;
    u8 blue_size      = 0;
};

inline constexpr std::size_t kMaxMemoryRegions = 256;
inline constexpr std::size_t kMaxEfiRegions    = 512;
inline constexpr std::size_t kMaxBootModules   = 8;
inline constexpr std::size_t kMaxRsdpSize      = 36;

struct Boot_info {
    Fixed_list<Memory_region, kMaxMemoryRegions> memory; // as the firmware gave it: unsorted, may overlap
    Fixed_list<Boot_module, kMaxBootModules> modules; // the first is the dom0 kernel, the second its initrd
    Fixed_text<1024> command_line;                    // without the image's name
    Fixed_text<64> loader;
    Framebuffer framebuffer;
    Hpa efi_system_table; // 0 when not booted by UEFI
    Fixed_list<Efi_region, kMaxEfiRegions> efi_memory;
    // A copy of the ACPI root pointer; size 0 when the loader gave none and it has to be searched.
    std::array<u8, kMaxRsdpSize> rsdp{};
    std::size_t rsdp_size = 0;
    bool truncated        = false; // something did not fit and was left out
};

inline constexpr u32 kMultiboot1Magic = 0x2badb002; // in EAX at entry
inline constexpr u32 kMultiboot2Magic = 0x36d76289;

// The information structure at `at`, by the loader's magic. Enoexec: not a loader we know; einval: corrupt,
// what could be read is in `info`.
Expected<void> parse_boot_info(u32 magic, Hpa at, const Physical_reader& memory, Boot_info& info);

} // namespace vmm
