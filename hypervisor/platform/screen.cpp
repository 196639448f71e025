// SPDX-License-Identifier: Apache-2.0
#include "platform/screen.hpp"

#include "base/bits.hpp"

namespace vmm
{
namespace
{

constexpr u16 kTextColumns = 80;
constexpr u16 kTextRows    = 25;
constexpr u16 kTextFont    = 16; // lines a character

dom0_vga_console_info text_screen()
{
    dom0_vga_console_info info{};
    info.video_type                = XEN_VGATYPE_TEXT_MODE_3;
    info.u.text_mode_3.font_height = kTextFont;
    info.u.text_mode_3.cursor_y    = kTextRows - 1;
    info.u.text_mode_3.rows        = kTextRows;
    info.u.text_mode_3.columns     = kTextColumns;
    return info;
}

} // namespace

std::optional<dom0_vga_console_info> describe_screen(const Framebuffer& mode, bool efi)
{
    if (mode.kind != Framebuffer::Kind::rgb) {
        if (efi)
            return std::nullopt; // UEFI has no text mode
        return text_screen();
    }
    if (mode.width > 0xffff || mode.height > 0xffff || mode.pitch > 0xffff)
        return std::nullopt;
    dom0_vga_console_info info{};
    info.video_type    = efi ? XEN_VGATYPE_EFI_LFB : XEN_VGATYPE_VESA_LFB;
    auto& lfb          = info.u.vesa_lfb;
    lfb.width          = static_cast<u16>(mode.width);
    lfb.height         = static_cast<u16>(mode.height);
    lfb.bytes_per_line = static_cast<u16>(mode.pitch);
    lfb.bits_per_pixel = mode.bits_per_pixel;
    lfb.lfb_base       = static_cast<u32>(mode.address.value());
    lfb.ext_lfb_base   = static_cast<u32>(mode.address.value() >> 32);
    lfb.lfb_size       = static_cast<u32>(div_round_up(u64{mode.pitch} * mode.height, 0x10000));
    lfb.red_pos        = mode.red_position;
    lfb.red_size       = mode.red_size;
    lfb.green_pos      = mode.green_position;
    lfb.green_size     = mode.green_size;
    lfb.blue_pos       = mode.blue_position;
    lfb.blue_size      = mode.blue_size;
    return info;
}

} // namespace vmm
