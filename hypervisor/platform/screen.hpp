// SPDX-License-Identifier: Apache-2.0
//
// The machine's screen, which the hypervisor writes to while booting and dom0 takes over when it asks what
// screen there is. After that the hypervisor leaves it alone, except to panic.
// [xen/include/public/xen.h, dom0_vga_console_info]
#pragma once

#include "platform/boot_info.hpp"

#include <optional>

#include <xen/xen.h>

namespace vmm
{

// What dom0 is told. `efi`: booted by UEFI. Nothing for a format that cannot be told. Pure.
std::optional<dom0_vga_console_info> describe_screen(const Framebuffer& mode, bool efi);

// As above for this machine; from then on the screen is dom0's.
std::optional<dom0_vga_console_info> give_screen_to_dom0();

} // namespace vmm
