// SPDX-License-Identifier: Apache-2.0
//
// Where the parts of the hypervisor's own image are, as the linker script lays them out. All but the used
// end of the code are page-aligned. [linker/plinth.ld]
#pragma once

#include "base/types.hpp"

namespace vmm::image
{

extern "C" {
extern const char image_start[], image_end[];
extern const char text_start[], text_used_end[], text_end[];
extern const char rodata_start[], rodata_end[];
extern const char data_start[], data_end[];
extern const char boot_stack_guard[], boot_stack[], boot_stack_end[];
}

inline constexpr u64 kVirtualBase = 0xffffffff80000000;

inline Hpa physical(const void* in_image) { return Hpa(reinterpret_cast<u64>(in_image) - kVirtualBase); }

} // namespace vmm::image
