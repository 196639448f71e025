// SPDX-License-Identifier: Apache-2.0
//
// Numbers and bits of the local APIC's registers, the machine's and the guests'. A register is named by its
// x2APIC offset: MSR 0x800 + offset, or offset * 16 in a register page and in the HVM context's record. [SDM3
// table 11-1, 11-6]
#pragma once

#include "base/types.hpp"

namespace vmm::apic
{

inline constexpr u32 kBaseMsr      = 0x1b;
inline constexpr u32 kFirstMsr     = 0x800;
inline constexpr u64 kDefaultBase  = 0xfee00000;
inline constexpr u64 kBaseBootCpu  = 1u << 8;
inline constexpr u64 kBaseX2apic   = 1u << 10;
inline constexpr u64 kBaseEnable   = 1u << 11;
inline constexpr u64 kBaseReserved = 0xfff0'0000'0000'02ff;

enum Register : u32 {
    reg_id            = 0x02,
    reg_version       = 0x03,
    reg_tpr           = 0x08,
    reg_ppr           = 0x0a,
    reg_eoi           = 0x0b,
    reg_ldr           = 0x0d,
    reg_spurious      = 0x0f,
    reg_isr           = 0x10, // eight registers each
    reg_tmr           = 0x18,
    reg_irr           = 0x20,
    reg_error_status  = 0x28,
    reg_lvt_cmci      = 0x2f,
    reg_command       = 0x30,
    reg_command_high  = 0x31, // only in a register page
    reg_lvt_timer     = 0x32,
    reg_lvt_thermal   = 0x33,
    reg_lvt_counters  = 0x34,
    reg_lvt_lint0     = 0x35,
    reg_lvt_lint1     = 0x36,
    reg_lvt_error     = 0x37,
    reg_initial_count = 0x38,
    reg_current_count = 0x39,
    reg_divide        = 0x3e,
    reg_self_ipi      = 0x3f,
};

inline constexpr u32 kSpuriousAfterReset = 0xff;
inline constexpr u32 kSpuriousEnable     = 1u << 8;
inline constexpr u32 kSpuriousReserved   = ~0x3ffu;

inline constexpr u32 kLvtPending  = 1u << 12; // delivery status: read-only
inline constexpr u32 kLvtMasked   = 1u << 16;
inline constexpr u32 kLvtPeriodic = 1u << 17;

inline constexpr u64 kCommandLogical        = 1u << 11;
inline constexpr u64 kCommandAssert         = 1u << 14;
inline constexpr u64 kCommandLevelTriggered = 1u << 15;
inline constexpr u64 kCommandReserved       = 0xfff3'3000;
enum class Shorthand : u8 { none, self, all, others };

inline constexpr u32 kSendIllegalVector     = 1u << 5;
inline constexpr u32 kReceivedIllegalVector = 1u << 6;
inline constexpr u8 kFirstLegalVector       = 16;

inline constexpr u32 kDivideReserved = ~0xbu;

} // namespace vmm::apic
