// SPDX-License-Identifier: Apache-2.0
//
// What a VMCS holds when it is made; system state in and out of it, for start of day, HVM save records and
// INIT.
#include "arch/x86/cpu/control_registers.hpp"
#include "arch/x86/cpu/msr.hpp"
#include "arch/x86/vmx/instructions.hpp"
#include "arch/x86/vmx/vmx_vcpu.hpp"
#include "domain/domain.hpp"
#include "domain/time.hpp"
#include "domain/vcpu.hpp"

extern "C" const char vmx_exit[];

namespace vmm::vmx
{
namespace
{

// In cycles of the TSC: PAUSEs no further apart are one loop, and in one for so long a vCPU waits for
// another. [SDM3 25.6.13, 26.1.3]
constexpr u32 kSpinGap    = 128;
constexpr u32 kSpinWindow = 4096;

// Of a segment's attributes.
constexpr u16 kAccessed = 1u << 0;
constexpr u16 kBusy     = 1u << 1; // of a TSS
constexpr u16 kPresent  = 1u << 7;
constexpr u16 kGranular = 1u << 11;

// Attributes and access rights differ by four bits of limit that a descriptor has between them.
constexpr u32 to_rights(u16 attributes) { return (attributes & 0xffu) | (attributes & 0xf00u) << 4; }
constexpr u16 to_attributes(u32 rights)
{
    return rights & kUnusable ? 0 : static_cast<u16>((rights & 0xff) | (rights >> 4 & 0xf00));
}

void write_segment(Segment_row row, const Segment& s)
{
    write(nth(Field::guest_es, row), s.selector);
    write(nth(Field::guest_es_limit, row), s.limit);
    write(nth(Field::guest_es_base, row), s.base);
    write(nth(Field::guest_es_rights, row), s.attributes & kPresent ? to_rights(s.attributes) : kUnusable);
}

Segment read_segment(Segment_row row)
{
    return {static_cast<u16>(read(nth(Field::guest_es, row))),
            to_attributes(read32(nth(Field::guest_es_rights, row))), read32(nth(Field::guest_es_limit, row)),
            read(nth(Field::guest_es_base, row))};
}

// What AMD-V lets pass in a segment that is there and an entry here would not: a clear accessed bit, a limit
// that its granularity cannot have. [SDM3 27.3.1.2]
Segment in_order(Segment s)
{
    s.attributes |= kAccessed;
    if (s.limit > 0xfffff) {
        s.attributes |= kGranular;
        s.limit |= 0xfff;
    }
    return s;
}

// There is always a task register, and its segment is busy.
Segment task_in_order(Segment s, bool long_mode)
{
    if (!(s.attributes & kPresent))
        s = {0, static_cast<u16>(kPresent | 9), 0x67, 0};
    s.attributes |= kBusy;
    if (long_mode)
        s.attributes |= 8;
    return s;
}

// WRMSR, by which LSTAR, CSTAR and KERNEL_GS_BASE are loaded, would fault, and in the hypervisor.
// [SDM3 27.3.1.1]
bool addresses_are_canonical(const System_state& s)
{
    for (const u64 address :
         {s.sysenter_esp, s.sysenter_eip, s.lstar, s.cstar, s.kernel_gs_base, s.fs.base, s.gs.base}) {
        if (sign_extend(address, capabilities().address_bits()) != address)
            return false;
    }
    return true;
}

// What an entry would refuse and cannot be put in order. [SDM3 27.3.1.1]
bool enterable(const System_state& s)
{
    if ((s.cr0 & ~cr0::known) != 0 || ((s.cr0 & cr0::nw) && !(s.cr0 & cr0::cd)))
        return false;
    if ((s.cr0 & cr0::pg) && !(s.cr0 & cr0::pe))
        return false;
    if ((s.cr4 & ~(guest_owned_cr4() | cr4::mce)) != 0)
        return false;
    if ((s.efer & ~kGuestEfer) != 0 || (s.dr6 >> 32) != 0 || (s.dr7 >> 32) != 0 || (s.sfmask >> 32) != 0)
        return false;
    if (!addresses_are_canonical(s))
        return false;
    const bool long_paging = (s.efer & efer::lme) && (s.cr0 & cr0::pg);
    if (long_paging && !(s.cr4 & cr4::pae))
        return false;
    const bool wide_code = s.cs.attributes & segment_long;
    return !(long_paging && wide_code && (s.cs.attributes & segment_default));
}

} // namespace

void Vmx_vcpu::set_up_controls(Hpa virtual_apic)
{
    const Controls& c = controls();
    cpu_controls_     = c.cpu;
    write(Field::pin_controls, c.pin);
    write(Field::cpu_controls, c.cpu);
    write(Field::cpu_controls_2, c.cpu_2);
    if (c.has_2(cpu_control_2::pause_loops)) {
        write(Field::pause_gap, kSpinGap);
        write(Field::pause_window, vcpu_.domain().configured_vcpus() > 1 ? kSpinWindow : low_bits(32));
    }
    write(Field::exit_controls, c.exit);
    start_timer();
    write(Field::entry_controls, c.entry);
    // #DB and #AC can recur for ever while they are being delivered, without the CPU ever leaving the guest;
    // #MC is the host's.
    write(Field::exceptions, bit(1) | bit(17) | bit(18));
    for (const Field none :
         {Field::fault_code_mask, Field::fault_code_match, Field::cr3_targets, Field::exit_msr_stores,
          Field::exit_msr_loads, Field::entry_msr_loads, Field::entry_event, Field::tpr_threshold})
        write(none, 0);
    write(Field::msr_bitmap, msr_bitmap(false, false).value());
    write(Field::virtual_apic, virtual_apic.value());
    write(Field::eptp, eptp_);
    write(Field::cr0_mask, ~guest_owned_cr0());
    write(Field::cr4_mask, ~guest_owned_cr4());
    write_host_state();
    write(Field::host_rip, reinterpret_cast<u64>(vmx_exit));
}

// As after a reset, as far as nobody says otherwise.
void Vmx_vcpu::set_up_guest()
{
    write(Field::link_pointer, ~0ull);
    for (const Field none :
         {Field::guest_debugctl, Field::activity, Field::pending_debug, Field::interruptibility})
        write(none, 0);
    System_state reset{};
    reset.cs = {0, kPresent | 0x1b, 0xffff, 0};
    (void)write_system(reset);
}

void Vmx_vcpu::save_resident(Resident_state& to) const
{
    to.dr6 = read_dr6();
    read_debug_addresses(to.debug_address);
    to.star           = read_msr(msr::kStar);
    to.lstar          = read_msr(msr::kLstar);
    to.cstar          = read_msr(msr::kCstar);
    to.sfmask         = read_msr(msr::kSfmask);
    to.kernel_gs_base = read_msr(msr::kKernelGsBase);
}

void Vmx_vcpu::restore_resident() const
{
    write_dr6(resident_.dr6);
    write_debug_addresses(resident_.debug_address);
    write_msr(msr::kStar, resident_.star);
    write_msr(msr::kLstar, resident_.lstar);
    write_msr(msr::kCstar, resident_.cstar);
    write_msr(msr::kSfmask, resident_.sfmask);
    write_msr(msr::kKernelGsBase, resident_.kernel_gs_base);
}

void Vmx_vcpu::set_efer(u64 value)
{
    write(Field::guest_efer, value);
    write(Field::entry_controls, controls().entry | (value & efer::lma ? entry_control::long_mode : 0));
}

System_state Vmx_vcpu::read_system() const
{
    System_state s{};
    use();
    s.cr0          = guest_cr0();
    s.cr2          = cr2_;
    s.cr3          = read(Field::guest_cr3);
    s.cr4          = guest_cr4();
    s.efer         = read(Field::guest_efer);
    s.dr7          = read(Field::guest_dr7);
    s.es           = read_segment(es);
    s.cs           = read_segment(cs);
    s.ss           = read_segment(ss);
    s.ds           = read_segment(ds);
    s.fs           = read_segment(fs);
    s.gs           = read_segment(gs);
    s.ldtr         = read_segment(ldtr);
    s.tr           = read_segment(tr);
    s.gdtr         = {0, 0, read32(Field::guest_gdtr_limit), read(Field::guest_gdtr_base)};
    s.idtr         = {0, 0, read32(Field::guest_idtr_limit), read(Field::guest_idtr_base)};
    s.pat          = read(Field::guest_pat);
    s.sysenter_cs  = read(Field::guest_sysenter_cs);
    s.sysenter_esp = read(Field::guest_sysenter_esp);
    s.sysenter_eip = read(Field::guest_sysenter_eip);

    static_cast<Resident_state&>(s) = resident_;
    if (loaded_)
        save_resident(s);
    take_out();
    return s;
}

Expected<void> Vmx_vcpu::write_system(const System_state& s)
{
    if (!enterable(s))
        return fail(Errc::einval);
    use();
    set_cr0(s.cr0);
    set_cr4(s.cr4);
    set_efer(s.efer);
    cr2_ = s.cr2;
    write(Field::guest_cr3, s.cr3);
    write(Field::guest_dr7, s.dr7);
    write_segment(es, in_order(s.es));
    write_segment(cs, in_order(s.cs));
    write_segment(ss, in_order(s.ss));
    write_segment(ds, in_order(s.ds));
    write_segment(fs, in_order(s.fs));
    write_segment(gs, in_order(s.gs));
    write_segment(ldtr, s.ldtr);
    write_segment(tr, task_in_order(s.tr, s.efer & efer::lma));
    write(Field::guest_gdtr_limit, s.gdtr.limit);
    write(Field::guest_gdtr_base, s.gdtr.base);
    write(Field::guest_idtr_limit, s.idtr.limit);
    write(Field::guest_idtr_base, s.idtr.base);
    write(Field::guest_pat, s.pat);
    write(Field::guest_sysenter_cs, s.sysenter_cs);
    write(Field::guest_sysenter_esp, s.sysenter_esp);
    write(Field::guest_sysenter_eip, s.sysenter_eip);
    write(Field::interruptibility, read(Field::interruptibility) & blocking::nmi);

    resident_ = static_cast<const Resident_state&>(s);
    if (loaded_)
        restore_resident();
    event_     = 0;
    in_shadow_ = false;
    flush_tlb();
    take_out();
    return {};
}

Paging_state Vmx_vcpu::paging() const
{
    use();
    return {guest_cr0(), read(Field::guest_cr3), guest_cr4(), read(Field::guest_efer), cpl()};
}

u64 Vmx_vcpu::cr4() const
{
    use();
    return guest_cr4();
}

u8 Vmx_vcpu::cpl() const { return static_cast<u8>(read(nth(Field::guest_es_rights, ss)) >> 5 & 3); }

bool Vmx_vcpu::in_long_code() const
{
    return (read(Field::guest_efer) & efer::lma) &&
           (to_attributes(read32(nth(Field::guest_es_rights, cs))) & segment_long);
}

} // namespace vmm::vmx
