// SPDX-License-Identifier: Apache-2.0
//
// All physical memory is mapped once, at a fixed distance, never executable. This header turns machine
// frames into host pointers and back. In hosted tests the base is an arena of the test.
#pragma once

#include "base/types.hpp"

namespace vmm
{

#if __STDC_HOSTED__
extern std::uintptr_t direct_map_base;
#else
inline constexpr std::uintptr_t direct_map_base = 0xffff800000000000;
#endif

template <class T = void>
T* to_virtual(Hpa hpa)
{
    return reinterpret_cast<T*>(direct_map_base + hpa.value());
}

template <class T = void>
T* to_virtual(Mfn mfn)
{
    return to_virtual<T>(to_hpa(mfn));
}

// Only for pointers into the direct map, which is where the heap and all guest memory are.
inline Hpa to_physical(const void* p) { return Hpa(reinterpret_cast<std::uintptr_t>(p) - direct_map_base); }

} // namespace vmm
