// SPDX-License-Identifier: Apache-2.0
//
// dom0's view of the machine's PCI functions: configuration space through ports 0xcf8 to 0xcff and through
// the enhanced windows, both trapped, and the trapped pages of MSI-X tables. A function is known from the
// scan at start, from PHYSDEVOP_pci_device_add, or from the first time dom0 looks at it, so that none can be
// programmed with a guest's message behind our back. Owned by Domain_devices; any CPU.
#pragma once

#include "emul/mmio.hpp"
#include "emul/pci/pci_function.hpp"

namespace vmm
{

class Pci_host final : public Mmio_device
{
  public:
    explicit Pci_host(Domain& domain) : context_{.domain = domain} {}
    Pci_host(const Pci_host&)            = delete;
    Pci_host& operator=(const Pci_host&) = delete;
    ~Pci_host();

    static constexpr bool owns_port(u16 port) { return port >= kAddressPort && port < kDataPort + 4; }
    [[nodiscard]] u32 read_port(u16 port, u8 size);
    void write_port(u16 port, u8 size, u32 value);

    [[nodiscard]] bool owns(Gpa gpa);
    u64 read(Gpa gpa, u8 size) override;
    void write(Gpa gpa, u8 size, u64 value) override;

    // A window that is known needs nothing; one that shows a bus of another is refused (eexist).
    Expected<void> add_window(const Pci_ecam& window);
    // Finds the functions of segment 0 and of every window; returns how many there are.
    unsigned scan();
    // Enodev when nothing is there. A function that is known stays as it is, unless another took its place.
    Expected<void> add_function(Pci_address address);
    [[nodiscard]] bool knows(Pci_address address);
    // Enodev when it is not known.
    Expected<void> remove_function(Pci_address address);

  private:
    static constexpr u16 kAddressPort = 0xcf8;
    static constexpr u16 kDataPort    = 0xcfc;

    [[nodiscard]] Pci_function* find(Pci_address address);
    [[nodiscard]] Pci_function* find_or_probe(Pci_address address);
    [[nodiscard]] Unique<Pci_function> take_out(Pci_function& function);
    unsigned scan_bus(u16 segment, u8 bus);

    [[nodiscard]] u32 read_config(Pci_address address, u16 offset, u8 size);
    void write_config(Pci_address address, u16 offset, u8 size, u32 value);

    struct Place {
        Pci_address function;
        u16 offset;
    };
    [[nodiscard]] bool selected_by_port(u16 port, u8 size, Place& place) const;
    [[nodiscard]] bool in_window(Gpa gpa, Place& place) const;

    [[nodiscard]] Msix* msix_at(Gpa gpa);
    void follow_table(Pci_function& function);
    [[nodiscard]] bool is_shared(Gfn page, const Msix& msix);
    void give_back(Gfn page, const Msix& leaving);
    void release_table_pages(const Msix& leaving);

    template <class Predicate>
    Pci_function* first_function(Predicate predicate)
    {
        Pci_function* function = functions_;
        while (function && !predicate(*function))
            function = function->next;
        return function;
    }

    Pci_context context_;
    u32 selected_            = 0; // the address port
    Pci_function* functions_ = nullptr;
};

} // namespace vmm
