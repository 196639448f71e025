// SPDX-License-Identifier: Apache-2.0
//
// Numbers of the model-specific registers that the hypervisor itself uses. Declarations only.
// [SDM4 2.1, APM2 Appendix A]
#pragma once

#include "base/bits.hpp"

namespace vmm::msr
{

inline constexpr u32 kTsc                = 0x010;
inline constexpr u32 kFeatureControl     = 0x03a;
inline constexpr u32 kTscAdjust          = 0x03b;
inline constexpr u32 kSpecCtrl           = 0x048;
inline constexpr u32 kPredCmd            = 0x049;
inline constexpr u32 kPatchLevel         = 0x08b;
inline constexpr u32 kArchCapabilities   = 0x10a;
inline constexpr u32 kFlushCmd           = 0x10b;
inline constexpr u32 kTsxCtrl            = 0x122;
inline constexpr u32 kSysenterCs         = 0x174;
inline constexpr u32 kSysenterEsp        = 0x175;
inline constexpr u32 kSysenterEip        = 0x176;
inline constexpr u32 kMcgCap             = 0x179;
inline constexpr u32 kMcgStatus          = 0x17a;
inline constexpr u32 kPat                = 0x277;
inline constexpr u32 kMc0Ctl             = 0x400; // then its status, address and more; each bank has four
inline constexpr u32 kVmxBasic           = 0x480;
inline constexpr u32 kVmxPinControls     = 0x481;
inline constexpr u32 kVmxCpuControls     = 0x482;
inline constexpr u32 kVmxExitControls    = 0x483;
inline constexpr u32 kVmxEntryControls   = 0x484;
inline constexpr u32 kVmxMisc            = 0x485;
inline constexpr u32 kVmxCr0Fixed0       = 0x486;
inline constexpr u32 kVmxCr0Fixed1       = 0x487;
inline constexpr u32 kVmxCr4Fixed0       = 0x488;
inline constexpr u32 kVmxCr4Fixed1       = 0x489;
inline constexpr u32 kVmxCpuControls2    = 0x48b;
inline constexpr u32 kVmxEptVpid         = 0x48c;
inline constexpr u32 kVmxTruePinControls = 0x48d; // and the other three
inline constexpr u32 kTscDeadline        = 0x6e0;
inline constexpr u32 kEfer               = 0xc000'0080;
inline constexpr u32 kStar               = 0xc000'0081;
inline constexpr u32 kLstar              = 0xc000'0082;
inline constexpr u32 kCstar              = 0xc000'0083;
inline constexpr u32 kSfmask             = 0xc000'0084;
inline constexpr u32 kFsBase             = 0xc000'0100;
inline constexpr u32 kGsBase             = 0xc000'0101;
inline constexpr u32 kKernelGsBase       = 0xc000'0102;
inline constexpr u32 kTscAux             = 0xc000'0103;
inline constexpr u32 kLsCfg              = 0xc001'1020;
inline constexpr u32 kDeCfg              = 0xc001'1029;
inline constexpr u32 kVmCr               = 0xc001'0114;
inline constexpr u32 kVmHsavePa          = 0xc001'0117;

} // namespace vmm::msr
