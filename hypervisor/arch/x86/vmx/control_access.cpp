// SPDX-License-Identifier: Apache-2.0
//
// CR0 and CR4 of a guest: most bits are its own and change without an exit; the others it sees as it wrote
// them, while the CPU runs with what it must. [SDM3 24.8, 25.6.6, 26.3]
#include "arch/x86/cpu/control_registers.hpp"
#include "arch/x86/vmx/instructions.hpp"
#include "arch/x86/vmx/vmx_vcpu.hpp"
#include "domain/domain.hpp"
#include "domain/vcpu.hpp"
#include "exit/guest_memory.hpp"

namespace vmm::vmx
{

// Not NE, which VT-x wants set; not CD and NW: a guest's caches are not its own.
u64 guest_owned_cr0() { return cr0::pe | cr0::mp | cr0::em | cr0::ts | cr0::wp | cr0::am | cr0::pg; }

u64 guest_owned_cr4()
{
    using namespace cr4;
    return cr4_may() & (vme | pvi | tsd | de | pse | pae | pge | pce | osfxsr | osxmmexcpt | umip | la57 |
                        fsgsbase | pcide | osxsave | smep | smap | pke);
}

u64 Vmx_vcpu::guest_cr0() const
{
    return (read(Field::guest_cr0) & guest_owned_cr0()) | (read(Field::cr0_shadow) & ~guest_owned_cr0());
}

u64 Vmx_vcpu::guest_cr4() const
{
    return (read(Field::guest_cr4) & guest_owned_cr4()) | (read(Field::cr4_shadow) & ~guest_owned_cr4());
}

void Vmx_vcpu::set_cr0(u64 value)
{
    write(Field::guest_cr0, (value & ~(cr0::cd | cr0::nw)) | cr0_must() | cr0::et);
    write(Field::cr0_shadow, value | cr0::et);
}

// Machine checks stay on whatever the guest thinks: without, one would end the machine.
void Vmx_vcpu::set_cr4(u64 value)
{
    write(Field::guest_cr4, value | cr4_must() | (read_cr4() & cr4::mce));
    write(Field::cr4_shadow, value);
}

bool Vmx_vcpu::move_to_control_register(const Exit_fields& fields, Guest_registers& regs)
{
    const auto move = decode_control_register(fields.qualification);
    if (!move || (move->number != 0 && move->number != 4))
        return false;
    const u64 value  = general_register(regs, move->general);
    const bool legal = move->number == 0 ? write_guest_cr0(value) : write_guest_cr4(value);
    if (legal)
        skip_instruction(regs, static_cast<u8>(fields.instruction_length));
    else
        inject({13, Injection::Type::exception, true, 0});
    return true;
}

bool Vmx_vcpu::write_guest_cr0(u64 value)
{
    if ((value >> 32) != 0 || ((value & cr0::pg) && !(value & cr0::pe)) ||
        ((value & cr0::nw) && !(value & cr0::cd)))
        return false;
    value &= cr0::known;
    u64 efer              = read(Field::guest_efer);
    const u64 cr4         = guest_cr4();
    const bool paging_was = guest_cr0() & cr0::pg;
    const bool paging     = value & cr0::pg;
    if (paging != paging_was && (efer & efer::lme)) {
        if (paging ? !(cr4 & cr4::pae) : (cr4 & cr4::pcide) != 0 || in_long_code())
            return false;
        efer ^= efer::lma;
    }
    if (paging && (cr4 & cr4::pae) && !(efer & efer::lma) && !load_pdptes())
        return false;
    set_efer(efer);
    set_cr0(value);
    vpid_ = {};
    return true;
}

bool Vmx_vcpu::write_guest_cr4(u64 value)
{
    if ((value & ~(guest_owned_cr4() | cr4::mce)) != 0)
        return false;
    const bool long_mode = read(Field::guest_efer) & efer::lma;
    const u64 change     = value ^ guest_cr4();
    if (long_mode && ((change & cr4::la57) || !(value & cr4::pae)))
        return false;
    if ((change & value & cr4::pcide) && (!long_mode || (read(Field::guest_cr3) & low_bits(12)) != 0))
        return false;
    if ((value & cr4::pae) && !long_mode && (guest_cr0() & cr0::pg) && !load_pdptes())
        return false;
    set_cr4(value);
    vpid_ = {};
    return true;
}

// The four entries that PAE paging keeps in the CPU. [SDM3 4.4.1]
bool Vmx_vcpu::load_pdptes()
{
    const u64 reserved = 0x1e6 | ~low_bits(physical_bits()); // of an entry that is present
    u64 entries[4];
    if (!copy_from_guest_physical(vcpu_.domain(), entries, Gpa(read(Field::guest_cr3) & 0xffffffe0),
                                  sizeof entries))
        return false;
    for (const u64 entry : entries) {
        if ((entry & 1) && (entry & reserved))
            return false;
    }
    for (unsigned i = 0; i < 4; ++i)
        write(nth(Field::guest_pdpte0, i), entries[i]);
    return true;
}

} // namespace vmm::vmx
