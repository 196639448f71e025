// SPDX-License-Identifier: Apache-2.0
//
// Where the memory of a PCI function is. Sizes are found once, when the function is first seen, with its
// decoding switched off for the moment; addresses are read from the device each time, because they are the
// guest's to change. All calls with the context's lock held. [PCI 3.0 6.2.5.1]
#pragma once

#include "emul/pci/pci_config.hpp"

namespace vmm
{

struct Address_range {
    u64 start;
    u64 size; // 0: none
};

class Pci_bars
{
  public:
    Pci_bars(Pci_context& context, Pci_address function) : context_(context), function_(function) {}
    // `count`: how many base address registers the kind of header has.
    void find_sizes(unsigned count);

    // Whether the function answers to memory addresses at all.
    [[nodiscard]] bool decoding() const;
    // What a register maps now; nothing for those of I/O ports and those without an address.
    [[nodiscard]] Address_range range(unsigned bar) const;

  private:
    [[nodiscard]] u32 read(unsigned bar) const;
    void write(unsigned bar, u32 value) const;
    [[nodiscard]] u64 find_size(unsigned bar, bool wide) const;

    static constexpr unsigned kMax = 6;

    struct Bar {
        u64 size  = 0;
        bool wide = false;
    };
    Pci_context& context_;
    Pci_address function_;
    std::array<Bar, kMax> bars_;
};

} // namespace vmm
