// SPDX-License-Identifier: Apache-2.0
//
// The virtual APIC that VT-x works by itself: APIC-register virtualization in x2APIC mode and
// virtual-interrupt delivery. What is asked for changes the page at once and the VMCS at the next entry.
// Owned by its Vmx_vcpu; without the CPU's help it is only the TPR. [SDM3 30]
#pragma once

#include "arch/x86/decode/vmx_apic.hpp"
#include "emul/interrupt_delivery.hpp"

namespace vmm::vmx
{

class Vmx_apic final : public Interrupt_delivery
{
  public:
    explicit Vmx_apic(u32* page) : page_(page) {}

    void start(const State& state, const Vectors& level) override;
    State stop() override;
    void request(const Vectors& requested, const Vectors& level) override;
    [[nodiscard]] State state() const override;

    [[nodiscard]] bool delivers() const { return on_; }
    // Before an entry, with the VMCS current.
    void write_changes()
    {
        if (changed_) [[unlikely]]
            write_all_changes();
    }
    // SPEC_CTRL belongs to the guest from now on: which MSRs exit is decided here. With the VMCS current.
    void give_spec_ctrl();
    [[nodiscard]] u32& tpr() const;

  private:
    void set_level(const Vectors& level);
    void write_all_changes();

    Apic_page page_;
    bool on_            = false;
    bool changed_       = false; // RVI and SVI, and perhaps:
    bool mode_changed_  = false;
    bool level_changed_ = false;
    bool spec_ctrl_     = false;
};

} // namespace vmm::vmx
