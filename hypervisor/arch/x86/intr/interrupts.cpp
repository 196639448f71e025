// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/intr/interrupts.hpp"

#include "arch/x86/intr/io_apic_driver.hpp"
#include "arch/x86/intr/legacy_pic.hpp"
#include "arch/x86/intr/local_apic_driver.hpp"
#include "arch/x86/intr/vectors.hpp"
#include "platform/uart.hpp"

namespace vmm
{
namespace
{

constexpr u32 kNoGsi     = ~0u;
constinit u32 serial_gsi = kNoGsi;

void on_serial_interrupt(void* uart) { static_cast<Uart*>(uart)->on_interrupt(); }

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
    const u8 vector   = TRY(allocate_vector(eoi, on_serial_interrupt, &uart));
    TRY(io_apics::route(wiring.gsi, {vector, host_apic::id(), wiring.level, wiring.active_low}));
    serial_gsi = wiring.gsi;
    uart.enable_receive_interrupt();
    io_apics::unmask(wiring.gsi);
    return {};
}

bool is_hypervisor_gsi(u32 gsi) { return gsi == serial_gsi; }

} // namespace vmm
