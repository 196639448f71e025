// SPDX-License-Identifier: Apache-2.0
//
// Goes through the rules of a VM entry and keeps the first that is broken. The rules stand in
// vmx_entry_host.cpp (controls and host) and vmx_entry_guest.cpp; only those two and find_entry_fault() use
// this. [SDM3 27.2, 27.3]
#pragma once

#include "arch/x86/decode/vmx_entry.hpp"
#include "arch/x86/regs/control.hpp"
#include "domain/registers.hpp"

namespace vmm::vmx
{

class Entry_judge
{
  public:
    Entry_judge(Read_field read, const Entry_rules& rules) : read_(read), rules_(rules) {}

    void controls();
    void addresses();
    void injection();
    void host_registers();
    void host_segments();
    void guest_registers();
    void guest_modes();
    void guest_flags();
    void guest_segments();
    void guest_system_segments();
    void guest_activity();
    void guest_pdptes();

    [[nodiscard]] const std::optional<Entry_fault>& fault() const { return fault_; }

  private:
    [[nodiscard]] u64 at(Field field) const { return read_(field); }
    [[nodiscard]] u64 of(Field first, Segment_row row) const { return read_(nth(first, row)); }
    [[nodiscard]] bool has(Field controls, u32 control) const { return (read_(controls) & control) != 0; }

    void need(bool holds, std::string_view owner, std::string_view name, Field field, std::string_view rule)
    {
        if (!holds && !fault_)
            fault_ = Entry_fault{owner, name, read_(field), rule};
    }
    void need_allowed(std::string_view name, Field field, const Allowed& allowed)
    {
        const u64 value = read_(field);
        need((value & allowed.must) == allowed.must && (value & ~u64{allowed.may}) == 0, "control", name,
             field, "the CPU has to allow each bit as it is, by its capability MSR");
    }
    void need_page(std::string_view owner, std::string_view name, Field field)
    {
        need((read_(field) & (kPageMask | beyond_physical())) == 0, owner, name, field,
             "has to be the physical address of a page");
    }
    void need_canonical(std::string_view owner, std::string_view name, Field field)
    {
        need(canonical(read_(field)), owner, name, field, "has to be canonical");
    }
    // Of CR0 and CR4.
    void need_fixed(std::string_view owner, std::string_view name, Field field, u64 must, u64 may)
    {
        const u64 value = read_(field);
        need((value & must) == must && (value & ~may) == 0, owner, name, field,
             "bits that VT-x fixes have to be as it wants them");
    }
    void need_pat(std::string_view owner, Field field)
    {
        need(is_valid_pat(read_(field)), owner, "IA32_PAT", field, "each byte has to be a memory type");
    }
    void need_segment(Segment_row row, bool system);

    [[nodiscard]] u64 beyond_physical() const { return ~low_bits(rules_.physical_bits); }
    [[nodiscard]] bool canonical(u64 address) const
    {
        return sign_extend(address, rules_.capabilities.address_bits()) == address;
    }
    [[nodiscard]] bool long_mode() const { return has(Field::entry_controls, entry_control::long_mode); }
    [[nodiscard]] bool usable(Segment_row row) const
    {
        return !(of(Field::guest_es_rights, row) & kUnusable);
    }
    [[nodiscard]] bool v86() const { return at(Field::guest_rflags) & rflags::vm; }
    [[nodiscard]] bool injects(u32 type) const
    {
        const u64 injected = at(Field::entry_event);
        return (injected & event::valid) && (injected & event::type_mask) == type << event::type_shift;
    }

    Read_field read_;
    const Entry_rules& rules_;
    std::optional<Entry_fault> fault_;
};

} // namespace vmm::vmx
