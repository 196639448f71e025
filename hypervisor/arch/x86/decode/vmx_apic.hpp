// SPDX-License-Identifier: Apache-2.0
//
// The virtual-APIC page, in which a CPU that delivers interrupts itself keeps a guest's APIC, and the MSR
// bitmap, which says what of the APIC a guest reaches without an exit. Pure: the memory is the caller's.
// [SDM3 25.6.8, 25.6.9, 30.1]
#pragma once

#include "emul/vector_set.hpp"

namespace vmm::vmx
{

class Apic_page
{
  public:
    explicit Apic_page(u32* page) : page_(page) {}

    // The registers by their x2APIC offsets (arch/x86/regs/local_apic.hpp).
    [[nodiscard]] u32& operator[](u32 offset) const { return page_[offset * kStride]; }
    // Eight registers each: IRR, ISR, TMR.
    [[nodiscard]] Vectors vectors(u32 first) const;
    void set_vectors(u32 first, const Vectors& vectors) const;
    void add_vectors(u32 first, const Vectors& more) const;

    // Guest interrupt status: the highest requested vector, and above it the highest in service.
    // [SDM3 25.4.2]
    [[nodiscard]] u16 interrupt_status() const;

  private:
    static constexpr u32 kStride = 16 / sizeof(u32);

    u32* page_;
};

// Fills in a page: what a guest reaches without an exit are the MSRs that are in the VMCS, those moved when a
// vCPU changes, with `apic` the registers that the CPU keeps in a virtual-APIC page itself, and with
// `spec_ctrl` SPEC_CTRL and PRED_CMD.
void make_msr_bitmap(u8* page, bool apic, bool spec_ctrl);

} // namespace vmm::vmx
