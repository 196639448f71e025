// SPDX-License-Identifier: Apache-2.0
//
// The MSI capability of one function as the guest sees it: it is offered one message, keeps the address and
// data that the guest gives, and programs the device with those of a host vector. Nothing of the guest's
// values reaches the device except enable and mask. All calls with the context's lock held, except that the
// interrupt takes it. [PCI 3.0 6.8.1]
#pragma once

#include "emul/apic_bus.hpp"
#include "emul/host_interrupts.hpp"
#include "emul/pci/pci_config.hpp"

namespace vmm
{

class Msi
{
  public:
    // Switches off what firmware may have left on.
    Msi(Pci_context& context, Pci_address function, u16 capability);
    Msi(const Msi&)            = delete;
    Msi& operator=(const Msi&) = delete;

    // The capability without its first two bytes, which are as the device has them.
    [[nodiscard]] bool covers(u16 offset) const
    {
        return offset >= capability_ + 2 && offset < capability_ + size_;
    }
    [[nodiscard]] u8 read(u16 offset) const;
    void write(u16 offset, u8 value);
    // After the bytes of one access were written.
    void apply();
    // To be called before the object goes: nothing is raised any more, save by a handler that has begun.
    void switch_off();

  private:
    [[nodiscard]] u32 get(unsigned at, unsigned bytes) const;
    [[nodiscard]] bool enabled() const;
    [[nodiscard]] bool masked() const;
    void write_device(unsigned at, u8 bytes, u32 value) const;
    [[nodiscard]] std::optional<Interrupt_message> message() const;
    void program_device() const;
    void send();
    void raise();
    static void raised(void* msi);

    Pci_context& context_;
    Pci_address function_;
    u16 capability_;
    u16 device_control_;
    u8 size_;
    u8 data_at_;
    u8 mask_at_   = 0; // 0: the function has no mask bits
    bool bound_   = false;
    bool pending_ = false; // arrived while masked
    host_interrupts::Msi_binding host_{};
    std::array<u8, 24> bytes_{};
    std::array<u8, 24> writable_{};
};

} // namespace vmm
