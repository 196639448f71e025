// SPDX-License-Identifier: Apache-2.0
//
// What a guest sets up first: its place in the world (start info, vendor), the shared page, and how it is
// told of events. guest_main() is what a program built on this library defines.
#pragma once

#include "guest/types.hpp"

#include <xen/arch-x86/hvm/start_info.h>
#include <xen/xen.h>

namespace vmm::guest
{

// The vector that tells of pending events.
inline constexpr u8 kEventVector = 0xf3;

// The image as it was loaded: what a fresh copy of it starts from.
struct Image {
    u64 start;
    u64 end;
    u64 data_start; // .data has run since; its first contents are at data_copy
    u64 data_end;
    u64 data_copy;
    u64 bss_start;
    u64 entry;
};
Image image();

const hvm_start_info& boot_info();
[[nodiscard]] bool is_dom0();
// CPUID base of the hypervisor's leaves; 0 when there is none.
[[nodiscard]] u32 hypervisor_leaf();

// Guest frames that may be given over to pages shared with the hypervisor. In dom0 they are well apart from
// the image, as a kernel has them, so that the image stays in one large mapping.
inline constexpr u32 kSpecialPages = 4;
[[nodiscard]] Page& special_page(u32 index);

s64 map_shared_info();
[[nodiscard]] shared_info& shared();
[[nodiscard]] vcpu_info& my_vcpu_info();
// Events arrive at kEventVector from now on.
s64 set_event_vector();
// Replaces the place in the shared page.
s64 register_vcpu_info(u32 vcpu, vcpu_info& place);

} // namespace vmm::guest

void guest_main();
