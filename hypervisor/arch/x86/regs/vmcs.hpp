// SPDX-License-Identifier: Apache-2.0
//
// The virtual machine control structure of VT-x: the fields by their encodings, the bits of the controls, and
// the exit reasons. Only what the hypervisor uses. Declarations only: builds on any host. [SDM3 Appendix B,
// "Field Encoding in VMCS"; 25.6 to 25.9; Appendix C]
#pragma once

#include "base/bits.hpp"

namespace vmm::vmx
{

enum class Field : u32 {
    // 16 bits
    vpid               = 0x0000,
    guest_es           = 0x0800, // and so on, two apart: cs ss ds fs gs ldtr tr
    interrupt_status   = 0x0810,
    host_es            = 0x0c00,
    host_cs            = 0x0c02,
    host_ss            = 0x0c04,
    host_ds            = 0x0c06,
    host_fs            = 0x0c08,
    host_gs            = 0x0c0a,
    host_tr            = 0x0c0c,
    // 64 bits
    io_bitmap_a        = 0x2000,
    io_bitmap_b        = 0x2002,
    msr_bitmap         = 0x2004,
    virtual_apic       = 0x2012,
    eptp               = 0x201a,
    eoi_exits_0        = 0x201c, // to 3, two apart
    gpa                = 0x2400,
    link_pointer       = 0x2800,
    guest_debugctl     = 0x2802,
    guest_pat          = 0x2804,
    guest_efer         = 0x2806,
    guest_pdpte0       = 0x280a, // to 3, two apart
    host_pat           = 0x2c00,
    host_efer          = 0x2c02,
    // 32 bits
    pin_controls       = 0x4000,
    cpu_controls       = 0x4002,
    exceptions         = 0x4004,
    fault_code_mask    = 0x4006,
    fault_code_match   = 0x4008,
    cr3_targets        = 0x400a,
    exit_controls      = 0x400c,
    exit_msr_stores    = 0x400e,
    exit_msr_loads     = 0x4010,
    entry_controls     = 0x4012,
    entry_msr_loads    = 0x4014,
    entry_event        = 0x4016,
    entry_error_code   = 0x4018,
    tpr_threshold      = 0x401c,
    cpu_controls_2     = 0x401e,
    pause_gap          = 0x4020,
    pause_window       = 0x4022,
    instruction_error  = 0x4400,
    exit_reason        = 0x4402,
    exit_event         = 0x4404,
    exit_error_code    = 0x4406,
    cut_event          = 0x4408, // IDT-vectoring information
    cut_error_code     = 0x440a,
    instruction_length = 0x440c,
    guest_es_limit     = 0x4800, // and so on
    guest_gdtr_limit   = 0x4810,
    guest_idtr_limit   = 0x4812,
    guest_es_rights    = 0x4814, // and so on
    interruptibility   = 0x4824,
    activity           = 0x4826,
    guest_sysenter_cs  = 0x482a,
    preemption_timer   = 0x482e,
    host_sysenter_cs   = 0x4c00,
    // As wide as the machine
    cr0_mask           = 0x6000,
    cr4_mask           = 0x6002,
    cr0_shadow         = 0x6004,
    cr4_shadow         = 0x6006,
    exit_qualification = 0x6400,
    guest_cr0          = 0x6800,
    guest_cr3          = 0x6802,
    guest_cr4          = 0x6804,
    guest_es_base      = 0x6806, // and so on
    guest_gdtr_base    = 0x6816,
    guest_idtr_base    = 0x6818,
    guest_dr7          = 0x681a,
    guest_rsp          = 0x681c,
    guest_rip          = 0x681e,
    guest_rflags       = 0x6820,
    pending_debug      = 0x6822,
    guest_sysenter_esp = 0x6824,
    guest_sysenter_eip = 0x6826,
    host_cr0           = 0x6c00,
    host_cr3           = 0x6c02,
    host_cr4           = 0x6c04,
    host_fs_base       = 0x6c06,
    host_gs_base       = 0x6c08,
    host_tr_base       = 0x6c0a,
    host_gdtr_base     = 0x6c0c,
    host_idtr_base     = 0x6c0e,
    host_sysenter_esp  = 0x6c10,
    host_sysenter_eip  = 0x6c12,
    host_rsp           = 0x6c14,
    host_rip           = 0x6c16,
};

// The rows of segment fields, in the order of their encodings.
enum Segment_row : u8 { es, cs, ss, ds, fs, gs, ldtr, tr };

// The n-th of a row of fields that are two apart.
constexpr Field nth(Field first, unsigned n) { return static_cast<Field>(static_cast<u32>(first) + 2 * n); }

// Pin-based controls. [SDM3 25.6.1]
namespace pin
{
inline constexpr u32 external_interrupts = bit(0);
inline constexpr u32 nmis                = bit(3);
inline constexpr u32 virtual_nmis        = bit(5);
inline constexpr u32 preemption_timer    = bit(6);
} // namespace pin

// Primary and secondary processor-based controls. [SDM3 25.6.2]
namespace cpu_control
{
inline constexpr u32 interrupt_window = bit(2);
inline constexpr u32 hlt              = bit(7);
inline constexpr u32 mwait            = bit(10);
inline constexpr u32 rdpmc            = bit(11);
inline constexpr u32 tpr_shadow       = bit(21);
inline constexpr u32 nmi_window       = bit(22);
inline constexpr u32 io_bitmaps       = bit(25);
inline constexpr u32 msr_bitmaps      = bit(28);
inline constexpr u32 monitor          = bit(29);
inline constexpr u32 secondary        = bit(31);
} // namespace cpu_control
namespace cpu_control_2
{
inline constexpr u32 ept          = bit(1);
inline constexpr u32 rdtscp       = bit(3);
inline constexpr u32 x2apic       = bit(4);
inline constexpr u32 vpid         = bit(5);
inline constexpr u32 wbinvd       = bit(6);
inline constexpr u32 unrestricted = bit(7);
inline constexpr u32 apic_reads   = bit(8); // APIC-register virtualization
inline constexpr u32 delivery     = bit(9); // of virtual interrupts
inline constexpr u32 pause_loops  = bit(10);
inline constexpr u32 invpcid      = bit(12);
inline constexpr u32 xsaves       = bit(20);
} // namespace cpu_control_2

// [SDM3 25.7.1, 25.8.1]
namespace exit_control
{
inline constexpr u32 save_debug = bit(2);
inline constexpr u32 host_64    = bit(9);
inline constexpr u32 save_pat   = bit(18);
inline constexpr u32 load_pat   = bit(19);
inline constexpr u32 save_efer  = bit(20);
inline constexpr u32 load_efer  = bit(21);
inline constexpr u32 save_timer = bit(22); // the preemption timer goes on at the next entry
} // namespace exit_control
namespace entry_control
{
inline constexpr u32 load_debug = bit(2);
inline constexpr u32 long_mode  = bit(9);
inline constexpr u32 load_pat   = bit(14);
inline constexpr u32 load_efer  = bit(15);
} // namespace entry_control

// [SDM3 25.4.2, table 25-3]
namespace blocking
{
inline constexpr u32 sti    = bit(0);
inline constexpr u32 mov_ss = bit(1);
inline constexpr u32 nmi    = bit(3);
} // namespace blocking

// In the pending debug exceptions. [SDM3 table 25-4]
inline constexpr u64 kPendingStep = bit(14);

// In a segment's access rights; the other bits are as in a descriptor. [SDM3 table 25-2]
inline constexpr u32 kUnusable = bit(16);

// [SDM3 Appendix C, table C-1]
namespace reason
{
inline constexpr u32 exception        = 0;
inline constexpr u32 external         = 1;
inline constexpr u32 triple_fault     = 2;
inline constexpr u32 interrupt_window = 7;
inline constexpr u32 nmi_window       = 8;
inline constexpr u32 cpuid            = 10;
inline constexpr u32 getsec           = 11;
inline constexpr u32 hlt              = 12;
inline constexpr u32 invd             = 13;
inline constexpr u32 rdpmc            = 15;
inline constexpr u32 rsm              = 17;
inline constexpr u32 vmcall           = 18;
inline constexpr u32 vmclear          = 19; // and the other instructions of VT-x
inline constexpr u32 vmxon            = 27;
inline constexpr u32 control_register = 28;
inline constexpr u32 io               = 30;
inline constexpr u32 rdmsr            = 31;
inline constexpr u32 wrmsr            = 32;
inline constexpr u32 guest_state      = 33;
inline constexpr u32 msr_loading      = 34;
inline constexpr u32 mwait            = 36;
inline constexpr u32 monitor          = 39;
inline constexpr u32 pause            = 40;
inline constexpr u32 machine_check    = 41; // during an entry
inline constexpr u32 tpr_threshold    = 43;
inline constexpr u32 virtual_eoi      = 45;
inline constexpr u32 ept_violation    = 48;
inline constexpr u32 invept           = 50;
inline constexpr u32 rdtscp           = 51;
inline constexpr u32 preemption_timer = 52;
inline constexpr u32 invvpid          = 53;
inline constexpr u32 wbinvd           = 54;
inline constexpr u32 xsetbv           = 55;
inline constexpr u32 apic_write       = 56;
inline constexpr u32 invpcid          = 58;
inline constexpr u32 vmfunc           = 59;
inline constexpr u32 xsaves           = 63;
inline constexpr u32 xrstors          = 64;
inline constexpr u32 mask             = 0xffff;
} // namespace reason

} // namespace vmm::vmx
