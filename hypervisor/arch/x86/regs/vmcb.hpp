// SPDX-License-Identifier: Apache-2.0
//
// The virtual machine control block of AMD-V, field for field. Declarations only: builds on any host.
// [APM2 Appendix B, "Layout of VMCB"]
#pragma once

#include "base/bits.hpp"
#include "domain/registers.hpp"

namespace vmm::svm
{

struct Vmcb {
    u32 intercept_cr;        // 000
    u32 intercept_dr;        // 004
    u32 intercept_exception; // 008
    u32 intercept_1;         // 00c
    u32 intercept_2;         // 010
    u32 intercept_3;         // 014
    u8 reserved_018[0x03c - 0x018];
    u16 pause_filter_threshold; // 03c
    u16 pause_filter_count;     // 03e
    u64 iopm_base_pa;           // 040
    u64 msrpm_base_pa;          // 048
    u64 tsc_offset;             // 050
    u32 guest_asid;             // 058
    u32 tlb_control;            // 05c
    u64 vintr;                  // 060
    u64 interrupt_shadow;       // 068
    u64 exitcode;               // 070
    u64 exitinfo1;              // 078
    u64 exitinfo2;              // 080
    u64 exitintinfo;            // 088
    u64 nested_control;         // 090
    u8 reserved_098[0x0a8 - 0x098];
    u64 eventinj;   // 0a8
    u64 n_cr3;      // 0b0
    u64 lbr_virt;   // 0b8
    u64 clean_bits; // 0c0
    u64 nrip;       // 0c8
    u8 fetched_count;
    u8 fetched[15]; // 0d1
    u8 reserved_0e0[0x2e0 - 0x0e0];
    u64 spec_ctrl; // 2e0
    u8 reserved_2e8[0x400 - 0x2e8];

    Segment es, cs, ss, ds, fs, gs; // 400
    Segment gdtr, ldtr, idtr, tr;   // 460
    u8 reserved_4a0[0x4cb - 0x4a0];
    u8 cpl; // 4cb
    u8 reserved_4cc[4];
    u64 efer; // 4d0
    u8 reserved_4d8[0x548 - 0x4d8];
    u64 cr4;    // 548
    u64 cr3;    // 550
    u64 cr0;    // 558
    u64 dr7;    // 560
    u64 dr6;    // 568
    u64 rflags; // 570
    u64 rip;    // 578
    u8 reserved_580[0x5d8 - 0x580];
    u64 rsp; // 5d8
    u8 reserved_5e0[0x5f8 - 0x5e0];
    u64 rax;            // 5f8
    u64 star;           // 600
    u64 lstar;          // 608
    u64 cstar;          // 610
    u64 sfmask;         // 618
    u64 kernel_gs_base; // 620
    u64 sysenter_cs;    // 628
    u64 sysenter_esp;   // 630
    u64 sysenter_eip;   // 638
    u64 cr2;            // 640
    u8 reserved_648[0x668 - 0x648];
    u64 g_pat;  // 668
    u64 dbgctl; // 670
    u8 reserved_678[0x1000 - 0x678];
};
static_assert(sizeof(Vmcb) == kPageSize);
static_assert(offsetof(Vmcb, pause_filter_threshold) == 0x03c);
static_assert(offsetof(Vmcb, eventinj) == 0x0a8);
static_assert(offsetof(Vmcb, spec_ctrl) == 0x2e0);
static_assert(offsetof(Vmcb, tr) == 0x490);
static_assert(offsetof(Vmcb, cpl) == 0x4cb);
static_assert(offsetof(Vmcb, cr4) == 0x548);
static_assert(offsetof(Vmcb, rsp) == 0x5d8);
static_assert(offsetof(Vmcb, rax) == 0x5f8);
static_assert(offsetof(Vmcb, g_pat) == 0x668);

namespace vintr
{
inline constexpr u64 tpr_mask          = 0xf;
inline constexpr u64 v_irq             = bit(8);
inline constexpr unsigned prio_shift   = 16;
inline constexpr u64 prio_mask         = 0xfull << prio_shift;
inline constexpr u64 ignore_tpr        = bit(20);
inline constexpr u64 intr_masking      = bit(24);
inline constexpr unsigned vector_shift = 32;
inline constexpr u64 vector_mask       = 0xffull << vector_shift;
} // namespace vintr

// [APM2 Appendix C, "SVM Intercept Exit Codes"]
namespace exitcode
{
inline constexpr u64 exception_base = 0x40;
inline constexpr u64 intr           = 0x60;
inline constexpr u64 nmi            = 0x61;
inline constexpr u64 smi            = 0x62;
inline constexpr u64 init           = 0x63;
inline constexpr u64 vintr          = 0x64;
inline constexpr u64 rdpmc          = 0x6f;
inline constexpr u64 cpuid          = 0x72;
inline constexpr u64 iret           = 0x74;
inline constexpr u64 invd           = 0x76;
inline constexpr u64 pause          = 0x77;
inline constexpr u64 hlt            = 0x78;
inline constexpr u64 invlpga        = 0x7a;
inline constexpr u64 ioio           = 0x7b;
inline constexpr u64 msr            = 0x7c;
inline constexpr u64 ferr           = 0x7e;
inline constexpr u64 shutdown       = 0x7f;
inline constexpr u64 vmrun          = 0x80;
inline constexpr u64 vmmcall        = 0x81;
inline constexpr u64 vmload         = 0x82;
inline constexpr u64 vmsave         = 0x83;
inline constexpr u64 stgi           = 0x84;
inline constexpr u64 clgi           = 0x85;
inline constexpr u64 skinit         = 0x86;
inline constexpr u64 wbinvd         = 0x89;
inline constexpr u64 monitor        = 0x8a;
inline constexpr u64 mwait          = 0x8b;
inline constexpr u64 xsetbv         = 0x8d;
inline constexpr u64 rdpru          = 0x8e;
inline constexpr u64 npf            = 0x400;
inline constexpr u64 invalid        = ~0ull;
} // namespace exitcode

// The bits of an intercept word. Each word has the bits of 32 exit codes in their order: exceptions from 40
// on in intercept_exception, 60 in intercept_1, 80 in intercept_2.
template <class... Exitcodes>
constexpr u32 intercepts(Exitcodes... codes)
{
    return (... | (1u << (codes & 31)));
}

} // namespace vmm::svm
