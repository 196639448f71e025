// SPDX-License-Identifier: Apache-2.0
//
// The guest's general registers and the parts of its system state that the hypervisor looks at, in
// neutral form. The layout of Guest_registers is known to the world-switch assembly of each backend.
#pragma once

#include "arch/x86/regs/control.hpp"

#include <array>

namespace vmm
{

// The guest's control over speculation, which is not a register that entry and exit switch.
struct Speculation_state {
    u32 spec_ctrl = 0;
    bool own      = false; // it reads and writes SPEC_CTRL itself, without exits
    bool distrusted =
        false; // branch predictions of its are forgotten at its exits, where that is done at all
};

struct Guest_registers {
    u64 rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi;
    u64 r8, r9, r10, r11, r12, r13, r14, r15;
    u64 rip;
    u64 rflags;
    Speculation_state speculation;
};
static_assert(offsetof(Guest_registers, speculation) == 18 * 8);
static_assert(offsetof(Speculation_state, own) == 4 && offsetof(Speculation_state, distrusted) == 5);

// A start with nothing in the registers.
inline void clear(Guest_registers& regs)
{
    const Speculation_state kept = regs.speculation;
    regs                         = {};
    regs.speculation             = kept;
}

// Which register an x86 ModRM/SIB number 0..15 means.
inline u64& general_register(Guest_registers& regs, unsigned number) { return (&regs.rax)[number & 15]; }

namespace rflags
{
inline constexpr u64 cf  = 1u << 0;
inline constexpr u64 tf  = 1u << 8;
inline constexpr u64 if_ = 1u << 9;
inline constexpr u64 df  = 1u << 10;
inline constexpr u64 rf  = 1u << 16;
inline constexpr u64 vm  = 1u << 17;
inline constexpr u64 ac  = 1u << 18;
} // namespace rflags

// A segment register with its hidden part. `attributes`: type 3:0, S 4, DPL 6:5, P 7, AVL 8, L 9, D/B 10,
// G 11, as the HVM save records pack them. [hvm/save.h hvm_hw_cpu]
struct Segment {
    u16 selector;
    u16 attributes;
    u32 limit;
    u64 base;
};

// What of a vCPU's system state may stay in the CPU between an entry and the next.
struct Resident_state {
    u64 dr6 = 0xffff0ff0;
    std::array<u64, 4> debug_address; // DR0 to DR3
    u64 star, lstar, cstar, sfmask, kernel_gs_base;
};

// Everything of a vCPU that is neither general register, FPU nor APIC: what start-of-day and the HVM save
// records set and read. As after a reset, but for the segments.
struct System_state : Resident_state {
    u64 cr0 = cr0::et; // and caches on, as firmware leaves them
    u64 cr2, cr3, cr4, efer;
    u64 dr7 = 0x400;
    Segment cs, ds, es, fs, gs, ss, tr, ldtr;
    Segment gdtr, idtr; // base and limit only
    u64 pat = kPatAtReset;
    u64 sysenter_cs, sysenter_esp, sysenter_eip;
};

// What address translation and permission checks need, cheap to fetch on every hypercall.
struct Paging_state {
    u64 cr0, cr3, cr4, efer;
    u8 cpl;

    bool operator==(const Paging_state&) const = default;
};

} // namespace vmm
