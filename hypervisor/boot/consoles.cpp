// SPDX-License-Identifier: Apache-2.0
#include "boot/consoles.hpp"

#include "arch/x86/cpu/host_paging.hpp"
#include "boot/boot_state.hpp"
#include "debug/log.hpp"
#include "mm/direct_map.hpp"
#include "platform/framebuffer_text.hpp"
#include "platform/screen.hpp"
#include "platform/uart.hpp"
#include "platform/vga_text.hpp"

namespace vmm
{
namespace
{

constinit Uart uart;
constinit Vga_text text_screen;
constinit Framebuffer_text pixel_screen;
constinit bool has_uart = false;

// The screen in use, and whether dom0 has it now.
constinit Console_sink* screen = nullptr;
constinit bool screen_is_dom0s = false;

constexpr std::size_t kReplayed = 800; // characters: some ten lines

constexpr Hpa kFourGiB{4ull << 30}; // below this everything is reachable at any time

void start_uart(const Uart_settings& settings)
{
    has_uart = uart.init(settings);
    if (has_uart)
        add_console_sink(uart);
}

void use_screen(Console_sink& sink)
{
    screen = &sink;
    add_console_sink(sink);
}

void start_text_screen()
{
    text_screen.init(to_virtual<volatile u16>(kVgaTextMemory));
    use_screen(text_screen);
}

void start_pixel_screen(const Framebuffer& mode)
{
    if (pixel_screen.init(mode, to_virtual<volatile u8>(mode.address)))
        use_screen(pixel_screen);
    else
        log::warning("the screen's format ({} bits a pixel) is not understood: nothing is shown there",
                     mode.bits_per_pixel);
}

Hpa end_of(const Framebuffer& mode) { return mode.address + u64{mode.pitch} * mode.height; }

bool is_efi(const Boot_info& loader) { return loader.efi_system_table != Hpa(0); }

} // namespace

void start_consoles(const Options& options, const Boot_info& loader)
{
    if (options.console_com1)
        start_uart(options.com1);
    if (!options.console_vga)
        return;
    if (loader.framebuffer.kind != Framebuffer::Kind::rgb && !is_efi(loader))
        start_text_screen();
    else if (loader.framebuffer.kind == Framebuffer::Kind::rgb && end_of(loader.framebuffer) <= kFourGiB)
        start_pixel_screen(loader.framebuffer);
}

void start_far_screen(const Options& options, const Boot_info& loader)
{
    const Framebuffer& mode = loader.framebuffer;
    if (!options.console_vga || mode.kind != Framebuffer::Kind::rgb || end_of(mode) <= kFourGiB)
        return;
    if (map_device_memory(mode.address, end_of(mode) - mode.address))
        start_pixel_screen(mode);
}

std::optional<dom0_vga_console_info> give_screen_to_dom0()
{
    const auto info = describe_screen(boot_state.loader.framebuffer, is_efi(boot_state.loader));
    if (info && screen && !screen_is_dom0s) {
        remove_console_sink(*screen);
        screen_is_dom0s = true;
    }
    return info;
}

void start_emergency_consoles()
{
    if (screen_is_dom0s) {
        const Framebuffer& mode = boot_state.loader.framebuffer;
        if (screen == &pixel_screen)
            start_pixel_screen(mode);
        else
            start_text_screen();
        screen_is_dom0s = false;
        log::replay(*screen, kReplayed);
    }
    if (!has_console_sink()) {
        start_uart({});
        start_text_screen();
    }
}

Uart* serial_console() { return has_uart ? &uart : nullptr; }

} // namespace vmm
