// SPDX-License-Identifier: Apache-2.0
#include "platform/screen.hpp"

#include <catch2/catch.hpp>

using namespace vmm;

namespace
{

Framebuffer pixels()
{
    Framebuffer mode;
    mode.kind           = Framebuffer::Kind::rgb;
    mode.address        = Hpa(0x38'8000'0000);
    mode.pitch          = 1024 * 4;
    mode.width          = 1024;
    mode.height         = 768;
    mode.bits_per_pixel = 32;
    mode.red_position   = 16;
    mode.red_size       = 8;
    return mode;
}

} // namespace

TEST_CASE("screen: what dom0 is told")
{
    const auto efi = describe_screen(pixels(), true);
    REQUIRE(efi);
    CHECK(efi->video_type == XEN_VGATYPE_EFI_LFB);
    CHECK(efi->u.vesa_lfb.lfb_base == 0x80000000);
    CHECK(efi->u.vesa_lfb.ext_lfb_base == 0x38);
    CHECK(efi->u.vesa_lfb.lfb_size == 48);
    CHECK(efi->u.vesa_lfb.bytes_per_line == 4096);
    CHECK(efi->u.vesa_lfb.red_pos == 16);
    CHECK(describe_screen(pixels(), false)->video_type == XEN_VGATYPE_VESA_LFB);
}

TEST_CASE("screen: text on a BIOS machine, nothing on UEFI without pixels")
{
    const auto text = describe_screen(Framebuffer(), false);
    REQUIRE(text);
    CHECK(text->video_type == XEN_VGATYPE_TEXT_MODE_3);
    CHECK(text->u.text_mode_3.columns == 80);
    CHECK_FALSE(describe_screen(Framebuffer(), true));
}

TEST_CASE("screen: sizes the ABI cannot tell")
{
    Framebuffer wide = pixels();
    wide.pitch       = 0x10000;
    CHECK_FALSE(describe_screen(wide, true));
}
