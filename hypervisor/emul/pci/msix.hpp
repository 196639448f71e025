// SPDX-License-Identifier: Apache-2.0
//
// The MSI-X capability and vector table of one function as the guest sees them. The pages of the table are
// trapped while the device decodes them; the guest's addresses and data stay here, the device's table holds
// those of host vectors, its masks are the guest's. What else is in those pages (pending bits, registers)
// is passed through. All calls with the context's lock held, except that the interrupt takes it.
// [PCI 3.0 6.8.2]
#pragma once

#include "base/unique.hpp"
#include "emul/host_interrupts.hpp"
#include "emul/pci/pci_config.hpp"

namespace vmm
{

class Msix
{
  public:
    // Where the table is: base address register and offset in what it maps.
    struct Place {
        u8 bar;
        u32 offset;
    };

    // Switches off what firmware may have left on.
    static Expected<Unique<Msix>> create(Pci_context& context, Pci_address function, u16 capability);
    ~Msix();
    Msix(const Msix&)            = delete;
    Msix& operator=(const Msix&) = delete;

    // The message control word.
    [[nodiscard]] bool covers(u16 offset) const
    {
        return offset == capability_ + 2 || offset == capability_ + 3;
    }
    [[nodiscard]] u8 read(u16 offset) const { return static_cast<u8>(offset & 1 ? control_ >> 8 : control_); }
    void write(u16 offset, u8 value);
    // After the bytes of one access were written.
    void apply();
    // To be called before the object goes: nothing is raised any more, save by a handler that has begun.
    void switch_off();

    [[nodiscard]] Place place() const { return place_; }
    // The table is at this address now; 0: the device does not decode it.
    void move_table(u64 address) { table_ = address; }
    [[nodiscard]] u64 table() const { return table_; }
    [[nodiscard]] u64 table_bytes() const { return u64{count_} * kEntrySize; }
    struct Pages {
        Gfn first, last;
    };
    [[nodiscard]] Pages table_pages() const
    {
        return {to_gfn(Gpa(table_)), to_gfn(Gpa(table_ + table_bytes() - 1))};
    }
    [[nodiscard]] bool in_table(Gpa gpa) const { return table_ && gpa.value() - table_ < table_bytes(); }
    [[nodiscard]] bool in_table_pages(Gpa gpa) const
    {
        const auto [first, last] = table_pages();
        return table_ && first <= to_gfn(gpa) && to_gfn(gpa) <= last;
    }

    // Accesses to the trapped pages.
    [[nodiscard]] u64 read_page(Gpa gpa, u8 size) const;
    void write_page(Gpa gpa, u8 size, u64 value);

    Msix(Pci_context& context, Pci_address function, u16 capability);

  private:
    static constexpr u32 kEntrySize = 16;

    struct Entry {
        Msix* owner = nullptr;
        u64 address = 0; // as the guest gave it
        host_interrupts::Msi_binding host{};
        u32 data     = 0;
        bool masked  = true;
        bool bound   = false; // to `host`
        bool pending = false; // arrived while masked
    };

    [[nodiscard]] bool enabled() const;
    [[nodiscard]] bool function_masked() const;
    [[nodiscard]] u32 read_word(u64 offset) const;
    void write_word(u64 offset, u32 value);
    void set_masked(Entry& entry, bool masked);
    bool bind(Entry& entry);
    void program_device(const Entry& entry) const;
    void write_device_control(u16 control) const;
    void release_all();
    void raise(Entry& entry);
    void raise_pending(Entry& entry);
    static void raised(void* entry);

    Pci_context& context_;
    Pci_address function_;
    u16 capability_;
    u16 control_ = 0;
    u32 count_   = 0;
    Place place_{};
    u64 table_      = 0;
    Entry* entries_ = nullptr; // count_ of them
};

} // namespace vmm
