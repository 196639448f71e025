// SPDX-License-Identifier: Apache-2.0
#include "boot/consoles.hpp"

#include "mm/direct_map.hpp"
#include "platform/uart.hpp"
#include "platform/vga_text.hpp"

namespace vmm
{
namespace
{

constinit Uart uart;
constinit Vga_text screen;
constinit bool has_uart = false;

void start_uart(const Uart_settings& settings)
{
    has_uart = uart.init(settings);
    if (has_uart)
        add_console_sink(uart);
}

void start_screen()
{
    screen.init(to_virtual<volatile u16>(kVgaTextMemory));
    add_console_sink(screen);
}

} // namespace

void start_consoles(const Options& options, const Boot_info& loader)
{
    if (options.console_com1)
        start_uart(options.com1);
    if (options.console_vga && loader.framebuffer.kind != Framebuffer::Kind::rgb)
        start_screen();
}

void start_emergency_consoles()
{
    start_uart({});
    start_screen();
}

Uart* serial_console() { return has_uart ? &uart : nullptr; }

} // namespace vmm
