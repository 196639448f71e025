// SPDX-License-Identifier: Apache-2.0
//
// The registers of the virtual local APIC as MSRs. [SDM3 11.12.1, table 11-6]
#include "base/bits.hpp"
#include "emul/apic_host.hpp"
#include "emul/local_apic.hpp"

namespace vmm
{

using namespace apic;

Expected<u64> Local_apic::read_msr(u32 index)
{
    if (index == kBaseMsr)
        return u64{base_};
    if (!x2apic())
        return fail(Errc::einval);
    return read_register(index - kFirstMsr);
}

Expected<u64> Local_apic::read_register(u32 offset) const
{
    if (offset >= reg_isr && offset < reg_error_status) {
        const Vectors all = offset < reg_tmr ? in_service() : offset < reg_irr ? tmr_.vectors() : requested();
        return u64{vector_register(all, offset % kVectorRegisters)};
    }
    if (offset >= reg_lvt_timer && offset <= reg_lvt_error)
        return u64{lvt_[offset - reg_lvt_timer].load(std::memory_order_relaxed)};

    switch (offset) {
    case reg_id: return u64{id_};
    case reg_version: return u64{kVersion};
    case reg_tpr: return u64{tpr()};
    case reg_ppr: return u64{processor_priority()};
    case reg_ldr: return u64{logical_id()};
    case reg_spurious: return u64{spurious_};
    case reg_error_status: return u64{error_status_};
    case reg_command: return u64{command_};
    case reg_initial_count: return u64{timer_initial_count_};
    case reg_current_count: return u64{timer_count()};
    case reg_divide: return u64{timer_divide_};
    default: return fail(Errc::einval);
    }
}

Expected<void> Local_apic::write_msr(u32 index, u64 value)
{
    if (index == kBaseMsr)
        return write_base(value);
    if (!x2apic())
        return fail(Errc::einval);
    const u32 offset = index - kFirstMsr;
    if (offset == reg_command)
        return send_ipi(value);
    if (value >> 32)
        return fail(Errc::einval);
    return write_register(offset, static_cast<u32>(value));
}

Expected<void> Local_apic::write_register(u32 offset, u32 value)
{
    if (offset >= reg_lvt_timer && offset <= reg_lvt_error)
        return write_lvt(static_cast<Lvt>(offset - reg_lvt_timer), value);

    const bool must_be_zero = offset == reg_eoi || offset == reg_error_status;
    const bool must_be_byte = offset == reg_tpr || offset == reg_self_ipi;
    if ((must_be_zero && value != 0) || (must_be_byte && value > 0xff))
        return fail(Errc::einval);
    switch (offset) {
    case reg_eoi: end_of_interrupt(); return {};
    case reg_self_ipi: self_ipi(static_cast<u8>(value)); return {};
    case reg_tpr: apic_host::set_tpr(vcpu_, static_cast<u8>(value)); return {};
    case reg_spurious: return write_spurious(value);
    case reg_error_status: error_status_ = errors_.exchange(0, std::memory_order_relaxed); return {};
    case reg_initial_count: start_timer(value); return {};
    case reg_divide: return write_divide(value);
    default: return fail(Errc::einval);
    }
}

bool Local_apic::lvt_is_valid(Lvt entry, u32 value)
{
    // What each entry has besides vector, delivery status and mask: timer mode, delivery mode, pin state.
    static constexpr std::array<u32, lvt_count> kWritable = {
        0x000310ff, 0x000117ff, 0x000117ff, 0x0001f7ff, 0x0001f7ff, 0x000110ff,
    };
    return (value & ~kWritable[entry]) == 0;
}

Expected<void> Local_apic::write_lvt(Lvt entry, u32 value)
{
    if (!lvt_is_valid(entry, value))
        return fail(Errc::einval);
    value &= ~kLvtPending;
    if (!(spurious_ & kSpuriousEnable))
        value |= kLvtMasked;
    lvt_[entry].store(value, std::memory_order_relaxed);
    return {};
}

// Switching the APIC off by software masks every local source. [SDM3 11.4.7.2]
Expected<void> Local_apic::write_spurious(u32 value)
{
    if (value & kSpuriousReserved)
        return fail(Errc::einval);
    spurious_ = value;
    if (!(value & kSpuriousEnable)) {
        for (auto& entry : lvt_)
            entry.fetch_or(kLvtMasked, std::memory_order_relaxed);
    }
    choose_delivery();
    return {};
}

// A running count goes on at the new speed.
Expected<void> Local_apic::write_divide(u32 value)
{
    if (value & kDivideReserved)
        return fail(Errc::einval);
    const u32 left = timer_count();
    timer_divide_  = value;
    if (timer_.armed())
        start_countdown(left);
    return {};
}

// The transitions of figure 11-27: x2APIC mode is left only by switching the APIC off, and reached from
// off only through xAPIC mode, in which this APIC has no registers at all. [SDM3 11.12.5]
Expected<void> Local_apic::write_base(u64 value)
{
    if (value & kBaseReserved)
        return fail(Errc::einval);
    const bool enable = (value & kBaseEnable) != 0;
    const bool wide   = (value & kBaseX2apic) != 0;
    const bool was_on = (base_ & kBaseEnable) != 0;
    if ((wide && !enable) || (x2apic() && enable && !wide) || (!was_on && enable && wide))
        return fail(Errc::einval);
    if (was_on && !enable)
        reset();
    base_ = (value & ~kBaseBootCpu) | (base_ & kBaseBootCpu);
    choose_delivery();
    return {};
}

} // namespace vmm
