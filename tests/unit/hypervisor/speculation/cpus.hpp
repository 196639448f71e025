// SPDX-License-Identifier: Apache-2.0
//
// What CPUs of several generations say of themselves, with and without the microcode that came later.
#pragma once

#include "arch/x86/decode/speculation.hpp"

namespace vmm::cpus
{

using enum Cpu_facts::Vendor;

inline constexpr u32 kRtm       = 1u << 11;
inline constexpr u32 kMicrocode = 0x9c000400; // SSBD, L1D_FLUSH, STIBP, IBRS and IBPB; MD_CLEAR
inline constexpr u32 kWithCaps  = 0xbc000400; // and ARCH_CAPABILITIES

inline constexpr Speculation_facts kNehalem{.vendor = intel, .signature = 0x106a5};
inline constexpr Speculation_facts kWestmere{.vendor = intel, .signature = 0x206c2, .leaf7_edx = kMicrocode};
inline constexpr Speculation_facts kHaswell{.vendor = intel, .signature = 0x306c3, .leaf7_edx = kMicrocode};
inline constexpr Speculation_facts kSkylakeSp{
    .vendor = intel, .signature = 0x50654, .leaf7_ebx = kRtm, .leaf7_edx = kMicrocode};
// RDCL_NO, IBRS_ALL, SKIP_L1DFL, MDS_NO, TSX_CTRL; the second without the microcode of the last.
inline constexpr Speculation_facts kCascadeLake{.vendor            = intel,
                                                .signature         = 0x50657,
                                                .leaf7_ebx         = kRtm,
                                                .leaf7_edx         = kWithCaps,
                                                .arch_capabilities = 0xab};
inline constexpr Speculation_facts kCascadeLakeOld{.vendor            = intel,
                                                   .signature         = 0x50657,
                                                   .leaf7_ebx         = kRtm,
                                                   .leaf7_edx         = kWithCaps,
                                                   .arch_capabilities = 0x2b};
// And IF_PSCHANGE_MC_NO, TAA_NO.
inline constexpr Speculation_facts kIceLakeSp{
    .vendor = intel, .signature = 0x606a6, .leaf7_edx = kWithCaps, .arch_capabilities = 0x16b};
// And BHI_CTRL.
inline constexpr Speculation_facts kSapphireRapids{.vendor            = intel,
                                                   .signature         = 0x806f8,
                                                   .leaf7_ebx         = kRtm,
                                                   .leaf7_edx         = kWithCaps,
                                                   .leaf7_2_edx       = 0x17,
                                                   .arch_capabilities = 0x400d'e1eb};
inline constexpr Speculation_facts kBonnell{.vendor = intel, .signature = 0x106c2};
inline constexpr Speculation_facts kSilvermont{
    .vendor = intel, .signature = 0x30678, .leaf7_edx = 0x0c000400};
// RDCL_NO, SKIP_L1DFL, MDS_NO, SSB_NO not; RFDS_CLEAR.
inline constexpr Speculation_facts kGeminiLake{
    .vendor = intel, .signature = 0x706a8, .leaf7_edx = 0xac000400, .arch_capabilities = 0x1000'0069};

inline constexpr Speculation_facts kZen1{.vendor = amd, .signature = 0x800f12, .extended8_ebx = 0x1007};
inline constexpr Speculation_facts kZen1Old{.vendor = amd, .signature = 0x800f12, .extended8_ebx = 0x7};
inline constexpr Speculation_facts kZen2{.vendor = amd, .signature = 0x830f10, .extended8_ebx = 0x018cf757};
inline constexpr Speculation_facts kZen2New{
    .vendor = amd, .signature = 0x830f10, .extended8_ebx = 0x018cf757, .microcode = 0x0830107a};
inline constexpr Speculation_facts kZen3{.vendor            = amd,
                                         .signature         = 0xa00f11,
                                         .extended8_ebx     = 0x311ef657,
                                         .extended21_eax    = 0x1000'0044,
                                         .virtual_spec_ctrl = true};
inline constexpr Speculation_facts kZen4{.vendor            = amd,
                                         .signature         = 0xa10f11,
                                         .extended8_ebx     = 0x791ef257,
                                         .extended21_eax    = 0x1000'0165,
                                         .virtual_spec_ctrl = true};
// AutoIBRS, SRSO_NO.
inline constexpr Speculation_facts kZen5{.vendor            = amd,
                                         .signature         = 0xb00f21,
                                         .extended8_ebx     = 0x791ef257,
                                         .extended21_eax    = 0x2000'0145,
                                         .virtual_spec_ctrl = true};
inline constexpr Speculation_facts kBulldozer{.vendor = amd, .signature = 0x600f12};

// QEMU's interpreter with its EPYC; Bochs' Haswell, which has no microcode and does not say what it is.
inline constexpr Speculation_facts kTcg{.vendor = amd, .signature = 0x800f12, .interpreted = true};
inline constexpr Speculation_facts kBochs{.vendor = intel, .signature = 0x306c3};

} // namespace vmm::cpus
