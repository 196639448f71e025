// SPDX-License-Identifier: Apache-2.0
//
// One PCI function of the machine as dom0 sees it: the real one, except for its MSI and MSI-X capabilities
// and the pages of its MSI-X table. Owned by Pci_host; all calls with the context's lock held.
#pragma once

#include "emul/pci/msi.hpp"
#include "emul/pci/msix.hpp"
#include "emul/pci/pci_registers.hpp"

namespace vmm
{

class Pci_function
{
  public:
    // Enodev when nothing answers at the address.
    static Expected<Unique<Pci_function>> create(Pci_context& context, Pci_address address);

    [[nodiscard]] Pci_address address() const { return address_; }
    [[nodiscard]] bool is_multifunction() const { return header_type_ & pci::kHeaderMultifunction; }
    // Device and vendor id: another number at the address means another device.
    [[nodiscard]] u32 identity() const { return identity_; }
    [[nodiscard]] Msix* msix() const { return msix_.get(); }

    // An access that lies within one doubleword.
    [[nodiscard]] u32 read(u16 offset, u8 size) const;
    void write(u16 offset, u8 size, u32 value);

    // Where the MSI-X table is to be found by the device's registers; 0 when it is not decoded.
    [[nodiscard]] u64 find_table() const;

    // To be called before the object goes: its interrupts end, save for handlers that have begun.
    void switch_off();

    Pci_function(Pci_context& context, Pci_address address) : context_(context), address_(address) {}

    Pci_function* next = nullptr; // in the list of Pci_host

  private:
    Expected<void> find_capabilities();
    [[nodiscard]] unsigned bar_count() const;
    [[nodiscard]] u32 read_bar(unsigned bar) const;

    Pci_context& context_;
    Pci_address address_;
    u32 identity_   = 0;
    u8 header_type_ = 0;
    Unique<Msi> msi_;
    Unique<Msix> msix_;
};

} // namespace vmm
