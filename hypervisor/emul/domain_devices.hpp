// SPDX-License-Identifier: Apache-2.0
//
// The emulated machine around dom0's vCPUs: IO-APICs, PCI configuration space, the ports of the legacy
// chips that are hidden from it, the CMOS index. Everything else of the real machine dom0 reaches directly,
// by its I/O bitmap and its memory map. One object, made when dom0 is built and never destroyed; domUs have
// none (see absent_ports.hpp). Any vCPU of the domain may call; locks are inside.
#pragma once

#include "base/unique.hpp"
#include "emul/io_apic.hpp"
#include "emul/pci/pci_host.hpp"
#include "exit/vm_exit.hpp"

#include <span>

namespace vmm
{

class Vcpu;

class Domain_devices
{
  public:
    struct Config {
        std::span<const Pci_ecam> ecam; // as the MCFG table lists them
        u16 hidden_uart;                // first of the eight ports of the hypervisor's console; 0 for none
    };

    // Takes its pages out of dom0's memory map, so the map has to be there already; finds the IO-APICs
    // (host_interrupts) and the PCI functions.
    static Expected<Unique<Domain_devices>> create(Domain& dom0, const Config& config);

    // Whether an access to the port exits; all other ports are dom0's own.
    [[nodiscard]] bool port_is_trapped(u16 port) const;
    // A port access of 1, 2 or 4 bytes. Reading sets `value` to that many bytes. Not for string forms.
    void io(Io_access access, u32& value);

    // A nested fault. False: the address is no device's. True: the access was completed and RIP moved on, or
    // is to be tried again, or the guest got an exception because its instruction is not one that is
    // emulated.
    bool mmio(Vcpu& vcpu, const Nested_fault& fault);

    // The EOI broadcast of a level-triggered vector.
    void end_of_interrupt(u8 vector);

    [[nodiscard]] Pci_host& pci() { return pci_; }

    Domain_devices(Domain& dom0, const Config& config)
        : dom0_(dom0), hidden_uart_(config.hidden_uart), pci_(dom0)
    {
    }

  private:
    Expected<void> create_io_apics();
    [[nodiscard]] Mmio_device* device_at(Gpa gpa);
    [[nodiscard]] bool port_is_hidden(u16 port) const;
    [[nodiscard]] u8 read_byte(u16 port);
    void write_byte(u16 port, u8 value);

    static constexpr unsigned kMaxIoApics = 16;

    Domain& dom0_;
    u16 hidden_uart_;
    unsigned io_apic_count_ = 0;
    std::array<Unique<Io_apic>, kMaxIoApics> io_apics_;
    Spinlock cmos_lock_{Lock_rank::devices};
    u8 cmos_index_ = 0;
    Pci_host pci_;
};

} // namespace vmm
