// SPDX-License-Identifier: Apache-2.0
//
// One virtual IO-APIC of dom0, at the address and with the pins of a physical one. The guest's redirection
// entries say which virtual interrupt a pin raises; the physical pin is routed to a host vector of the
// hypervisor with the same trigger and polarity, from the first time the guest unmasks the entry. The host
// line of a level-triggered pin stays masked from the interrupt until the guest's EOI. Owned by
// Domain_devices; any CPU. [82093AA IO-APIC data sheet; version 0x20 with an EOI register]
#pragma once

#include "base/spinlock.hpp"
#include "emul/host_interrupts.hpp"
#include "emul/mmio.hpp"

#include <array>
#include <optional>

namespace vmm
{

class Domain;

class Io_apic final : public Mmio_device
{
  public:
    Io_apic(Domain& domain, const host_interrupts::Io_apic_info& info);

    [[nodiscard]] Gfn page() const { return to_gfn(Gpa(info_.address)); }
    u64 read(Gpa gpa, u8 size) override;
    void write(Gpa gpa, u8 size, u64 value) override;

    // A local APIC finished a level-triggered vector, or the guest wrote the EOI register.
    void end_of_interrupt(u8 vector);

  private:
    struct Pin {
        Io_apic* owner = nullptr;
        u64 entry      = 0;
        bool open      = false;      // the host line is unmasked
        std::optional<u32> bound_as; // once it has a host vector: trigger and polarity
    };

    [[nodiscard]] u32 gsi_of(const Pin& pin) const;
    [[nodiscard]] u32 read_register() const;
    void write_register(u32 value);
    void write_entry(Pin& pin, u64 entry);
    void set_line(Pin& pin);
    bool bind(Pin& pin);
    void raise(Pin& pin);
    static void pin_raised(void* pin);

    Domain& domain_;
    host_interrupts::Io_apic_info info_;
    Spinlock lock_{Lock_rank::devices};
    u8 selected_ = 0;
    u8 id_       = 0;
    std::array<Pin, host_interrupts::kMaxPins> pins_;
};

} // namespace vmm
