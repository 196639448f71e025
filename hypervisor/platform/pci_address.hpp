// SPDX-License-Identifier: Apache-2.0
//
// Where a PCI function is, and where the machine shows configuration space in memory. [PCI 3.0; PCIe 7.2.2]
#pragma once

#include "base/types.hpp"

#include <compare>

namespace vmm
{

struct Pci_address {
    u16 segment;
    u8 bus;
    u8 devfn; // device 7:3, function 2:0

    auto operator<=>(const Pci_address&) const = default;
};

// One enhanced configuration window: 1 MiB a bus, 4 KiB a function.
struct Pci_ecam {
    u64 address; // of bus 0, present or not, as the MCFG table has it
    u16 segment;
    u8 first_bus;
    u8 last_bus;

    [[nodiscard]] u64 begin() const { return address + (u64{first_bus} << 20); }
    [[nodiscard]] u64 end() const { return address + ((u64{last_bus} + 1) << 20); }
    [[nodiscard]] bool contains(Gpa gpa) const { return gpa.value() >= begin() && gpa.value() < end(); }
    bool operator==(const Pci_ecam&) const = default;
};

} // namespace vmm
