// SPDX-License-Identifier: Apache-2.0
#pragma once
// A guest that programs the PCI functions of a machine by ports and memory.
#include "emul/machine.hpp"
#include "emul/pci/pci_host.hpp"

namespace vmm::pci_test
{

inline constexpr u64 kEcam      = 0xb0000000;
inline constexpr u64 kMsixTable = 0xfebd6000;

constexpr Pci_address at(u8 bus, u8 device, u8 function = 0)
{
    return {0, bus, static_cast<u8>(device << 3 | function)};
}

inline constexpr Pci_address kAhci = at(0, 0x1f, 2), kNvme = at(0, 3), kNic = at(1, 0), kBridge = at(0, 1);

// The functions of a QEMU q35 with an AHCI disk (MSI), an NVMe disk (MSI-X in BAR 0) and a NIC behind a
// root port (MSI and MSI-X, 32-bit BAR); registers as these devices have them.
struct Guest {
    fakes::Machine machine;
    Pci_host pci{machine.domain};

    Guest()
    {
        auto host_bridge = fakes::Function_registers::endpoint(0x8086, 0x29c0);
        host_bridge.set(6, 2, 0);
        machine.functions[at(0, 0)] = host_bridge;

        auto lpc = fakes::Function_registers::endpoint(0x8086, 0x2918);
        lpc.set(0x0e, 1, 0x80);
        machine.functions[at(0, 0x1f)] = lpc;
        auto ahci                      = fakes::Function_registers::endpoint(0x8086, 0x2922);
        ahci.add_bar(5, 0xfebf0000, 0x1000, false);
        ahci.add_msi(0x80, true, false);
        machine.functions[kAhci] = ahci;

        auto nvme = fakes::Function_registers::endpoint(0x1b36, 0x0010);
        nvme.add_bar(0, kMsixTable - 0x2000, 0x4000, true);
        nvme.add_msix(0x40, 65, 0, 0x2000, 0x3000);
        nvme.set(4, 2, 6);
        machine.functions[kNvme] = nvme;

        auto bridge = fakes::Function_registers::endpoint(0x1b36, 0x000c);
        bridge.set(0x0e, 1, 0x01);
        bridge.set(0x18, 4, 0x00010100);
        bridge.add_msix(0x48, 1, 0, 0, 0x800);
        bridge.add_bar(0, 0xfebd9000, 0x1000, false);
        machine.functions[kBridge] = bridge;

        auto nic = fakes::Function_registers::endpoint(0x8086, 0x10d3);
        nic.add_bar(3, 0xfe800000, 0x4000, false);
        nic.add_msi(0xd0, true, true);
        nic.add_msix(0xa0, 5, 3, 0, 0x2000);
        machine.functions[kNic] = nic;

        machine.ecam = {{kEcam, 0, 0, 255}};
    }

    u32 read(Pci_address f, u16 offset, u8 size)
    {
        pci.write_port(0xcf8, 4,
                       0x80000000 | static_cast<u32>(f.bus) << 16 | static_cast<u32>(f.devfn) << 8 |
                           (offset & 0xfc));
        return pci.read_port(static_cast<u16>(0xcfc + (offset & 3)), size);
    }
    void write(Pci_address f, u16 offset, u8 size, u32 value)
    {
        pci.write_port(0xcf8, 4,
                       0x80000000 | static_cast<u32>(f.bus) << 16 | static_cast<u32>(f.devfn) << 8 |
                           (offset & 0xfc));
        pci.write_port(static_cast<u16>(0xcfc + (offset & 3)), size, value);
    }
    u32 device(Pci_address f, u16 offset, u8 size) { return machine.functions[f].get(offset, size); }

    void set_entry(unsigned index, u32 address, u32 data)
    {
        const u64 entry = kMsixTable + 16 * index;
        pci.write(Gpa(entry), 4, address);
        pci.write(Gpa(entry + 4), 4, 0);
        pci.write(Gpa(entry + 8), 4, data);
    }
    void mask_entry(unsigned index, bool masked) { pci.write(Gpa(kMsixTable + 16 * index + 12), 4, masked); }
};

inline Interrupt_message fixed(u32 destination, u8 vector)
{
    return {destination, false, Delivery_mode::fixed, vector, false};
}

} // namespace vmm::pci_test
