// SPDX-License-Identifier: Apache-2.0
//
// Offsets and bits of PCI configuration space that the hypervisor looks at. [PCI 3.0 6.1, 6.8; PCIe 7.5]
#pragma once

#include "base/types.hpp"

namespace vmm::pci
{

inline constexpr u16 kVendor       = 0x00;
inline constexpr u16 kCommand      = 0x04;
inline constexpr u16 kStatus       = 0x06;
inline constexpr u16 kHeaderType   = 0x0e;
inline constexpr u16 kFirstBar     = 0x10;
inline constexpr u16 kCapabilities = 0x34;

inline constexpr u32 kNoVendor           = 0xffff;
inline constexpr u32 kCommandMemory      = 1u << 1;
inline constexpr u32 kStatusCapabilities = 1u << 4;
inline constexpr u8 kHeaderMultifunction = 1u << 7;

inline constexpr u32 kBarIo          = 1u << 0;
inline constexpr u32 kBarWide        = 2u << 1; // bits 2:1: 64-bit address in this and the next register
inline constexpr u32 kBarWidthMask   = 3u << 1;
inline constexpr u32 kBarAddressMask = ~0xfu;

inline constexpr u8 kCapabilityMsi  = 0x05;
inline constexpr u8 kCapabilityMsix = 0x11;

inline constexpr u16 kMsiEnable        = 1u << 0;
inline constexpr u16 kMsiMultiple      = 0x7e; // capable 3:1, enabled 6:4
inline constexpr u16 kMsiWide          = 1u << 7;
inline constexpr u16 kMsiMaskable      = 1u << 8;
inline constexpr u16 kMsixTableSize    = 0x7ff; // entries - 1
inline constexpr u16 kMsixFunctionMask = 1u << 14;
inline constexpr u16 kMsixEnable       = 1u << 15;
inline constexpr u32 kMsixEntryMask    = 1u << 0;

} // namespace vmm::pci
