// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/vmx/vmx_apic.hpp"

#include "arch/x86/regs/local_apic.hpp"
#include "arch/x86/vmx/instructions.hpp"
#include "arch/x86/vmx/vmx_host.hpp"

namespace vmm::vmx
{

using namespace apic;

u32& Vmx_apic::tpr() const { return page_[reg_tpr]; }

void Vmx_apic::start(const State& state, const Vectors& level)
{
    page_.set_vectors(reg_irr, state.requested);
    page_.set_vectors(reg_isr, state.in_service);
    on_ = changed_ = mode_changed_ = true;
    set_level(level);
}

Vmx_apic::State Vmx_apic::stop()
{
    on_      = false;
    changed_ = mode_changed_ = true;
    return state();
}

void Vmx_apic::request(const Vectors& requested, const Vectors& level)
{
    page_.add_vectors(reg_irr, requested);
    changed_ = true;
    if (level != page_.vectors(reg_tmr)) [[unlikely]]
        set_level(level);
}

Vmx_apic::State Vmx_apic::state() const { return {page_.vectors(reg_irr), page_.vectors(reg_isr)}; }

void Vmx_apic::set_level(const Vectors& level)
{
    page_.set_vectors(reg_tmr, level);
    level_changed_ = true;
}

void Vmx_apic::give_spec_ctrl()
{
    spec_ctrl_ = true;
    write(Field::msr_bitmap, msr_bitmap(on_, spec_ctrl_).value());
}

void Vmx_apic::write_all_changes()
{
    changed_ = false;
    if (mode_changed_) [[unlikely]] {
        mode_changed_ = false;
        write(Field::cpu_controls_2, controls().cpu_2 | (on_ ? kVirtualApic : 0));
        write(Field::msr_bitmap, msr_bitmap(on_, spec_ctrl_).value());
        write(Field::tpr_threshold, 0); // is not looked at while the CPU delivers
    }
    if (!on_)
        return;
    write(Field::interrupt_status, page_.interrupt_status());
    if (level_changed_) [[unlikely]] {
        level_changed_      = false;
        const Vectors level = page_.vectors(reg_tmr);
        for (unsigned i = 0; i < level.size(); ++i)
            write(nth(Field::eoi_exits_0, i), level[i]);
    }
}

} // namespace vmm::vmx
