// SPDX-License-Identifier: Apache-2.0
//
// Numbers by size, and what every file of a guest needs to know about pages.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vmm::guest
{

using u8  = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s16 = std::int16_t;
using s32 = std::int32_t;
using s64 = std::int64_t;

inline constexpr u64 kPageSize = 4096;

struct alignas(kPageSize) Page {
    u8 bytes[kPageSize];

    template <class T>
    [[nodiscard]] T* as(u64 offset = 0)
    {
        return reinterpret_cast<T*>(bytes + offset);
    }
};

// Guests built on this are mapped one to one: an object's address is its guest-physical address.
inline u64 gpa_of(const void* object) { return reinterpret_cast<u64>(object); }
inline u64 gfn_of(const void* object) { return gpa_of(object) / kPageSize; }
template <class T = void>
T* at_gpa(u64 gpa)
{
    return reinterpret_cast<T*>(gpa);
}

} // namespace vmm::guest
