// SPDX-License-Identifier: Apache-2.0
//
// I/O ports. Hosted tests supply these functions, backed by a fake device.
#pragma once

#include "base/types.hpp"

namespace vmm
{

#if __STDC_HOSTED__
u8 in8(u16 port);
u16 in16(u16 port);
u32 in32(u16 port);
void out8(u16 port, u8 value);
void out16(u16 port, u16 value);
void out32(u16 port, u32 value);
#else
inline u8 in8(u16 port)
{
    u8 v = 0;
    asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}
inline u16 in16(u16 port)
{
    u16 v = 0;
    asm volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}
inline u32 in32(u16 port)
{
    u32 v = 0;
    asm volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}
inline void out8(u16 port, u8 value) { asm volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory"); }
inline void out16(u16 port, u16 value) { asm volatile("outw %0, %1" ::"a"(value), "Nd"(port) : "memory"); }
inline void out32(u16 port, u32 value) { asm volatile("outl %0, %1" ::"a"(value), "Nd"(port) : "memory"); }
#endif

} // namespace vmm
