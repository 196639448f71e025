// SPDX-License-Identifier: Apache-2.0
#include "boot/consoles.hpp"

#include "arch/x86/cpu/host_paging.hpp"
#include "boot/boot_state.hpp"
#include "debug/log.hpp"
#include "domain/domain.hpp"
#include "domain/time.hpp"
#include "mm/direct_map.hpp"
#include "platform/screen.hpp"
#include "platform/uart.hpp"
#include "sched/timer.hpp"

#include <xen/xen.h>

namespace vmm
{
namespace
{

enum class Owner : u8 { nobody, hypervisor, dom0 };

constinit Uart uart;
constinit bool has_uart = false;
constinit Text_screen screen;
constinit Owner screen_owner = Owner::nobody;

constexpr std::size_t kReplayed = 800; // characters: some ten lines
constexpr Hpa kFourGiB{4ull << 30};    // below this everything is reachable at any time
constexpr u64 kLogDelay = 20 * kMillisecond;

void start_uart(const Uart_settings& settings)
{
    has_uart = uart.init(settings);
    if (has_uart)
        add_console_sink(uart);
}

bool has_pixels(const Framebuffer& mode) { return mode.kind == Framebuffer::Kind::rgb; }

void start_screen(const Framebuffer& mode)
{
    if (!has_pixels(mode)) {
        screen.init(to_virtual<volatile u16>(kVgaTextMemory));
    } else if (!screen.init(mode, to_virtual<volatile u8>(mode.address))) {
        log::warning("the screen's format ({} bits a pixel) is not understood: nothing is shown there",
                     mode.bits_per_pixel);
        return;
    }
    add_console_sink(screen);
    screen_owner = Owner::hypervisor;
}

Hpa end_of(const Framebuffer& mode) { return mode.address + u64{mode.pitch} * mode.height; }

bool is_efi(const Boot_info& loader) { return loader.efi_system_table != Hpa(0); }

constinit Timer log_timer{[](void*) { raise_for_dom0(VIRQ_CON_RING); }, nullptr};

} // namespace

void start_consoles(const Options& options, const Boot_info& loader)
{
    const Framebuffer& mode = loader.framebuffer;
    if (options.console_com1)
        start_uart(options.com1);
    if (options.console_vga && (has_pixels(mode) ? end_of(mode) <= kFourGiB : !is_efi(loader)))
        start_screen(mode);
}

void start_far_screen(const Options& options, const Boot_info& loader)
{
    const Framebuffer& mode = loader.framebuffer;
    if (options.console_vga && has_pixels(mode) && end_of(mode) > kFourGiB &&
        map_device_memory(mode.address, end_of(mode) - mode.address))
        start_screen(mode);
}

std::optional<dom0_vga_console_info> give_screen_to_dom0()
{
    const auto info = describe_screen(boot_state.loader.framebuffer, is_efi(boot_state.loader));
    if (info && screen_owner == Owner::hypervisor) {
        remove_console_sink(screen);
        screen_owner = Owner::dom0;
    }
    return info;
}

void start_emergency_consoles()
{
    if (screen_owner == Owner::dom0) {
        start_screen(boot_state.loader.framebuffer);
        log::replay(screen, kReplayed);
    }
    if (!has_console_sink()) {
        start_uart({});
        start_screen({});
    }
}

Uart* serial_console() { return has_uart ? &uart : nullptr; }

// Input is told at once, from the receive interrupt, where no lock is held. A log line may come from under
// any lock, so it only arms a timer; that also makes one interrupt of many lines.
void tell_dom0_of_console()
{
    if (has_uart)
        uart.start_buffering();
    set_console_input_hook([] { raise_for_dom0(VIRQ_CONSOLE); });
    log::set_ring_hook([] {
        if (!log_timer.armed())
            log_timer.start(system_clock().now() + kLogDelay);
    });
}

} // namespace vmm
