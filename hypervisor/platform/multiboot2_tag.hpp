// SPDX-License-Identifier: Apache-2.0
//
// The tags of the information that a Multiboot2 loader hands over, those that are read or written here.
// [Multiboot2 3.6]
#pragma once

#include "base/types.hpp"

namespace vmm
{

enum class Multiboot2_tag : u32 {
    end                = 0,
    command_line       = 1,
    loader_name        = 2,
    module             = 3,
    memory_map         = 6,
    framebuffer        = 8,
    efi64_system_table = 12,
    acpi_old           = 14,
    acpi_new           = 15,
    efi_memory_map     = 17
};

} // namespace vmm
