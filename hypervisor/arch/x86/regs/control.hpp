// SPDX-License-Identifier: Apache-2.0
//
// Bits of the control registers, EFER and the debug registers, by their manual names. [APM2 3.1, 13.1]
#pragma once

#include "base/bits.hpp"

namespace vmm
{

namespace cr0
{
inline constexpr u64 pe = bit(0);
inline constexpr u64 mp = bit(1);
inline constexpr u64 em = bit(2);
inline constexpr u64 ts = bit(3);
inline constexpr u64 et = bit(4);
inline constexpr u64 ne = bit(5);
inline constexpr u64 wp = bit(16);
inline constexpr u64 am = bit(18);
inline constexpr u64 nw = bit(29);
inline constexpr u64 cd = bit(30);
inline constexpr u64 pg = bit(31);

// The others below bit 32 stay clear, whatever is written. [SDM3 2.5]
inline constexpr u64 known = pe | mp | em | ts | et | ne | wp | am | nw | cd | pg;
} // namespace cr0

namespace cr4
{
inline constexpr u64 vme        = bit(0);
inline constexpr u64 pvi        = bit(1);
inline constexpr u64 tsd        = bit(2);
inline constexpr u64 de         = bit(3);
inline constexpr u64 pse        = bit(4);
inline constexpr u64 pae        = bit(5);
inline constexpr u64 mce        = bit(6);
inline constexpr u64 pge        = bit(7);
inline constexpr u64 pce        = bit(8);
inline constexpr u64 osfxsr     = bit(9);
inline constexpr u64 osxmmexcpt = bit(10);
inline constexpr u64 umip       = bit(11);
inline constexpr u64 la57       = bit(12);
inline constexpr u64 vmxe       = bit(13);
inline constexpr u64 fsgsbase   = bit(16);
inline constexpr u64 pcide      = bit(17);
inline constexpr u64 osxsave    = bit(18);
inline constexpr u64 smep       = bit(20);
inline constexpr u64 smap       = bit(21);
inline constexpr u64 pke        = bit(22);
} // namespace cr4

namespace efer
{
inline constexpr u64 sce    = bit(0);
inline constexpr u64 lme    = bit(8);
inline constexpr u64 lma    = bit(10);
inline constexpr u64 nxe    = bit(11);
inline constexpr u64 svme   = bit(12);
inline constexpr u64 ffxsr  = bit(14);
inline constexpr u64 aibrse = bit(21);
} // namespace efer

namespace dr6
{
inline constexpr u64 bs = bit(14);
} // namespace dr6

// An event as both vendors' structures have it: one to be injected, one that caused the exit, or one whose
// delivery the exit cut short. [APM2 15.7.2, 15.20; SDM3 25.8.3, 25.9.2]
namespace event
{
inline constexpr u32 vector_mask     = 0xff;
inline constexpr unsigned type_shift = 8;
inline constexpr u32 type_mask       = 7u << type_shift;
inline constexpr u32 type_nmi        = 2u << type_shift;
inline constexpr u32 type_exception  = 3u << type_shift; // VT-x: of the hardware's
inline constexpr u32 type_software   = 4u << type_shift; // INT n
inline constexpr u32 type_int1       = 5u << type_shift; // VT-x only
inline constexpr u32 error_valid     = bit(11);
inline constexpr u32 nmi_unblocked   = bit(12); // VT-x only: by the IRET that faulted
inline constexpr u32 valid           = bit(31);
} // namespace event

// L and D/B of a segment's packed attributes: 64-bit code; 32 bits by default.
inline constexpr u16 segment_long    = 1u << 9;
inline constexpr u16 segment_default = 1u << 10;

inline constexpr u64 kPatAtReset = 0x0007040600070406;

// Each byte of the PAT has to be a memory type.
constexpr bool is_valid_pat(u64 value)
{
    for (unsigned i = 0; i < 64; i += 8) {
        const u64 type = (value >> i) & 0xff;
        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return true;
}

} // namespace vmm
