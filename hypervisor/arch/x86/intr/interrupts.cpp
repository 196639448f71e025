// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/intr/interrupts.hpp"

#include "arch/x86/cpu/port_io.hpp"
#include "arch/x86/intr/io_apic_driver.hpp"
#include "arch/x86/intr/local_apic_driver.hpp"
#include "arch/x86/intr/vectors.hpp"
#include "base/per_cpu.hpp"
#include "emul/host_interrupts.hpp"
#include "platform/uart.hpp"

namespace vmm
{
namespace
{

constexpr u32 kNoGsi     = ~0u;
constinit u32 serial_gsi = kNoGsi;

// The two 8259 interrupt controllers of the PC/AT.
constexpr u16 kPrimary    = 0x20;
constexpr u16 kSecondary  = 0xa0;
constexpr u8 kFirstVector = 0x20;

void do_nothing(void*) {}

// ICW1 to ICW4, then everything masked. [8259A data sheet]
void set_up(u16 port, u8 vector, u8 cascade)
{
    out8(port, 0x11);
    for (const u8 byte : {vector, cascade, u8{0x01}, u8{0xff}})
        out8(port + 1, byte);
}

// Moved away from the exceptions and masked for good.
void silence_legacy_pic()
{
    set_up(kPrimary, kFirstVector, 1u << 2);
    set_up(kSecondary, kFirstVector + 8, 2);
    // Even masked, each can raise its last line when a request vanishes; that is not from the local APIC.
    set_handler(kFirstVector + 7, Eoi::none, do_nothing, nullptr);
    set_handler(kFirstVector + 15, Eoi::none, do_nothing, nullptr);
}

void on_serial_interrupt(void* uart) { serve_console_sink(*static_cast<Uart*>(uart)); }

} // namespace

Expected<void> init_interrupts(const Madt_info& madt)
{
    silence_legacy_pic();
    host_apic::init(madt.local_apic_address);
    return io_apics::init(madt);
}

Expected<void> connect_serial_interrupt(const Madt_info& madt, u8 isa_interrupt, Uart& uart)
{
    const auto wiring = io_apics::isa_wiring(madt, isa_interrupt);
    const Eoi eoi     = wiring.level ? Eoi::after_handler : Eoi::before_handler;
    const auto at     = TRY(allocate_vector(this_cpu(), eoi, on_serial_interrupt, &uart));
    TRY(io_apics::route(wiring.gsi, {at.vector, host_apic::id(), wiring.level, wiring.active_low}));
    serial_gsi = wiring.gsi;
    uart.enable_receive_interrupt();
    host_interrupts::unmask_gsi(wiring.gsi);
    return {};
}

bool is_hypervisor_gsi(u32 gsi) { return gsi == serial_gsi; }

} // namespace vmm
