// SPDX-License-Identifier: Apache-2.0
//
// The virtual local APIC in the HVM context: a register page in xAPIC layout (register n at n * 16) and
// what no register holds. [xen/include/public/arch-x86/hvm/save.h]
#include "emul/apic_host.hpp"
#include "emul/local_apic.hpp"

#include <cstring>

#include <xen/hvm/save.h>
#include <xen/xen.h>

namespace vmm
{
namespace
{

using namespace apic;

void put(hvm_hw_lapic_regs& page, u32 offset, u32 value)
{
    u8* at = &page.data[offset * 16];
    std::memset(at, 0, 16);
    std::memcpy(at, &value, sizeof value);
}

u32 get(const hvm_hw_lapic_regs& page, u32 offset)
{
    u32 value = 0;
    std::memcpy(&value, &page.data[offset * 16], sizeof value);
    return value;
}

// The first 16 are none that an APIC delivers.
Vectors get_vectors(const hvm_hw_lapic_regs& page, u32 first)
{
    Vectors all{};
    for (u32 i = 0; i < kVectorRegisters; ++i)
        add_vector_register(all, i, get(page, first + i));
    all[0] &= ~0xffffull;
    return all;
}

} // namespace

void Local_apic::save(hvm_hw_lapic& state, hvm_hw_lapic_regs& registers)
{
    state.apic_base_msr = base_;
    state.disabled      = (base_ & kBaseEnable ? 0 : 1) | (spurious_ & kSpuriousEnable ? 0 : 2);
    state.timer_divisor = 1u << timer_shift();
    state.tdt_msr       = 0;

    // What reads as a register is saved as one, and is zero where there is none.
    for (u32 offset = 0; offset * 16 < sizeof registers.data; ++offset)
        put(registers, offset, static_cast<u32>(read_register(offset).value_or(0)));
    put(registers, reg_command_high, static_cast<u32>(command_ >> 32));
}

// Everything is checked before anything changes. The id is not taken from the record: it follows from the
// vCPU. The timer goes on with the count that was left.
Expected<void> Local_apic::load(const hvm_hw_lapic& state, const hvm_hw_lapic_regs& registers)
{
    const u64 base     = state.apic_base_msr;
    const u32 spurious = get(registers, reg_spurious);
    const u32 divide   = get(registers, reg_divide);
    if ((base & kBaseReserved) || ((base & kBaseX2apic) && !(base & kBaseEnable)) ||
        (spurious & kSpuriousReserved) || (divide & kDivideReserved) || get(registers, reg_tpr) > 0xff)
        return fail(Errc::einval);
    for (u32 i = 0; i < lvt_count; ++i) {
        if (!lvt_is_valid(static_cast<Lvt>(i), get(registers, reg_lvt_timer + i)))
            return fail(Errc::einval);
    }

    clear();
    base_     = (base & ~kBaseBootCpu) | (base_ & kBaseBootCpu);
    spurious_ = spurious;
    apic_host::set_tpr(vcpu_, static_cast<u8>(get(registers, reg_tpr)));
    isr_.add(get_vectors(registers, reg_isr));
    tmr_.add(get_vectors(registers, reg_tmr));
    irr_.add(get_vectors(registers, reg_irr));
    error_status_ = get(registers, reg_error_status);
    command_      = static_cast<u64>(get(registers, reg_command_high)) << 32 | get(registers, reg_command);
    for (u32 i = 0; i < lvt_count; ++i)
        lvt_[i].store(get(registers, reg_lvt_timer + i) & ~kLvtPending, std::memory_order_relaxed);
    timer_divide_        = divide;
    timer_initial_count_ = get(registers, reg_initial_count);
    if (const u32 left = get(registers, reg_current_count))
        start_countdown(left);
    choose_delivery();
    apic_host::wake(vcpu_);
    return {};
}

} // namespace vmm
