// SPDX-License-Identifier: Apache-2.0
#include "emul/domain_devices.hpp"

#include "base/bits.hpp"
#include "debug/log.hpp"
#include "emul/absent_ports.hpp"
#include "emul/host_access.hpp"
#include "emul/mmio.hpp"

namespace vmm
{
namespace
{

constexpr u16 kUartPorts = 8;

// dom0's index into the CMOS is kept here and written to the chip together with each access to the data port,
// so that the hypervisor can read the clock in between, and so that bit 7 of the index, the machine's NMI
// mask, is not the guest's to set.
constexpr u16 kCmosIndex = 0x70, kCmosData = 0x71;

// The 8259 pair, the 8254 and its gate: the hypervisor's, or nobody's. [PIIX3 data sheet, 2.2]
constexpr bool is_legacy_interrupt_port(u16 port)
{
    return port == 0x20 || port == 0x21 || port == 0xa0 || port == 0xa1 || (port >= 0x40 && port <= 0x43) ||
           port == 0x61;
}

} // namespace

Expected<Unique<Domain_devices>> Domain_devices::create(Domain& dom0, const Config& config)
{
    auto devices = TRY(make_unique<Domain_devices>(dom0, config));
    TRY(devices->create_io_apics());
    for (const Pci_ecam& window : config.ecam) {
        if (const auto added = devices->pci_.add_window(window); !added)
            log::warning("PCI configuration window at {x} is not used (error {})", window.begin(),
                         added.error());
    }
    const unsigned functions = devices->pci_.scan();
    log::info("dom0: {} IO-APICs, {} PCI functions", devices->io_apic_count_, functions);
    return devices;
}

Expected<void> Domain_devices::create_io_apics()
{
    while (const auto* info = host_interrupts::io_apic(io_apic_count_)) {
        if (io_apic_count_ == io_apics_.size())
            return fail(Errc::enospc);
        auto io_apic = TRY(make_unique<Io_apic>(dom0_, *info));
        TRY(host_access::trap(dom0_, io_apic->page(), 1));
        io_apics_[io_apic_count_++] = std::move(io_apic);
    }
    return {};
}

bool Domain_devices::port_is_hidden(u16 port) const
{
    return is_legacy_interrupt_port(port) ||
           (hidden_uart_ != 0 && port >= hidden_uart_ && port - hidden_uart_ < kUartPorts);
}

bool Domain_devices::port_is_trapped(u16 port) const
{
    return Pci_host::owns_port(port) || port == kCmosIndex || port == kCmosData || port_is_hidden(port);
}

// The chips on the other trapped ports are one byte wide: a wider access is one to each of its ports.
void Domain_devices::io(Io_access access, u32& value)
{
    if (Pci_host::owns_port(access.port)) {
        if (access.in)
            value = pci_.read_port(access.port, access.size);
        else
            pci_.write_port(access.port, access.size, value);
        return;
    }
    u32 result = 0;
    for (unsigned i = 0; i < access.size; ++i) {
        const u16 port = static_cast<u16>(access.port + i);
        if (access.in)
            result |= static_cast<u32>(read_byte(port)) << 8 * i;
        else
            write_byte(port, static_cast<u8>(value >> 8 * i));
    }
    if (access.in)
        value = result;
}

u8 Domain_devices::read_byte(u16 port)
{
    if (port == kCmosIndex)
        return cmos_index_;
    if (port_is_hidden(port))
        return static_cast<u8>(absent_value(port));
    const Lock_guard guard(cmos_lock_);
    if (port == kCmosData)
        host_access::out(kCmosIndex, 1, cmos_index_);
    return static_cast<u8>(host_access::in(port, 1));
}

void Domain_devices::write_byte(u16 port, u8 value)
{
    const Lock_guard guard(cmos_lock_);
    if (port == kCmosIndex) {
        cmos_index_ = value & 0x7f;
        return;
    }
    if (port_is_hidden(port))
        return;
    if (port == kCmosData)
        host_access::out(kCmosIndex, 1, cmos_index_);
    host_access::out(port, 1, value);
}

Mmio_device* Domain_devices::device_at(Gpa gpa)
{
    for (unsigned i = 0; i < io_apic_count_; ++i) {
        if (io_apics_[i]->page() == to_gfn(gpa))
            return io_apics_[i].get();
    }
    return pci_.owns(gpa) ? &pci_ : nullptr;
}

bool Domain_devices::mmio(Vcpu& vcpu, const Nested_fault& fault)
{
    Mmio_device* device = device_at(fault.gpa);
    if (!device)
        return false;
    emulate_mmio(vcpu, fault, *device);
    return true;
}

void Domain_devices::end_of_interrupt(u8 vector)
{
    for (unsigned i = 0; i < io_apic_count_; ++i)
        io_apics_[i]->end_of_interrupt(vector);
}

} // namespace vmm
