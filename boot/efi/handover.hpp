// SPDX-License-Identifier: Apache-2.0
//
// The last step, in code of its own outside of all that it writes to (handover.S): out of long mode, the
// hypervisor's image to where it belongs, and into its Multiboot2 entry. Until then firmware's page tables
// and stack may lie there.
#pragma once

#include "base/types.hpp"

#include <span>

namespace vmm::efi
{

// All physical, below 4 GiB.
struct Handover {
    u32 from; // a copy of the image
    u32 to;   // where it is linked to be
    u32 size;
    u32 zeroes; // after it
    u32 entry;
    u32 information; // [Multiboot2 3.6]
};

inline constexpr std::size_t kHandoverSize = 4096;

// `page`: of kHandoverSize, page-aligned, executable. Boot services have ended.
[[noreturn]] void hand_over(std::span<u8> page, const Handover& what);

} // namespace vmm::efi
