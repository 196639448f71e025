// SPDX-License-Identifier: Apache-2.0
//
// Where the hypervisor's image says that it belongs: the address fields of its Multiboot header, which are
// there for loaders that do not know ELF. [Multiboot 3.1.3]
#pragma once

#include "base/types.hpp"

#include <optional>
#include <span>

namespace vmm::efi
{

struct Image {
    std::span<const u8> loaded; // part of the file
    u32 start;                  // physical
    u32 end;                    // with what is zero behind what is loaded
    u32 entry;
};

// Nothing: the file has no such header, or one that makes no sense.
std::optional<Image> find_image(std::span<const u8> file);

} // namespace vmm::efi
