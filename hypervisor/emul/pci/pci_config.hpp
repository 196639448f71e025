// SPDX-License-Identifier: Apache-2.0
//
// The machine's own PCI configuration space, through ports 0xcf8/0xcfc where they reach and the enhanced
// window for the rest. An access does not cross a doubleword; what is not there reads as all ones. The
// caller serialises. [PCI 3.0 3.2.2.3.2; PCIe 7.2.2]
#pragma once

#include "base/expected.hpp"
#include "base/spinlock.hpp"
#include "platform/pci_address.hpp"

#include <array>
#include <span>

namespace vmm
{

class Domain;

class Pci_config
{
  public:
    // Whether the window can be added: einval for nonsense, eexist when it shows a bus that another
    // one shows, enospc.
    [[nodiscard]] Expected<void> check(const Pci_ecam& window) const;
    // One that was checked.
    void add(const Pci_ecam& window) { windows_[count_++] = window; }
    [[nodiscard]] std::span<const Pci_ecam> windows() const { return std::span(windows_).first(count_); }

    [[nodiscard]] u32 read(Pci_address function, u16 offset, u8 size) const;
    void write(Pci_address function, u16 offset, u8 size, u32 value) const;

  private:
    [[nodiscard]] u64 memory_address(Pci_address function, u16 offset) const;

    std::array<Pci_ecam, 16> windows_;
    unsigned count_ = 0;
};

// What every virtual part of a PCI function shares with the others. Owned by Pci_host.
struct Pci_context {
    Domain& domain;
    Pci_config config{};
    Spinlock lock{Lock_rank::devices};
};

} // namespace vmm
