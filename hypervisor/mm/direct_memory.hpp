// SPDX-License-Identifier: Apache-2.0
//
// How the page-table engine reaches entries on the machine: single 64-bit accesses through the direct map,
// which a CPU walking the same tables sees whole.
#pragma once

#include "mm/direct_map.hpp"

#include <atomic>

namespace vmm
{

struct Direct_memory {
    static u64 read(Hpa at) { return entry(at).load(std::memory_order_acquire); }
    static void write(Hpa at, u64 value) { entry(at).store(value, std::memory_order_release); }
    static u64 exchange(Hpa at, u64 value) { return entry(at).exchange(value, std::memory_order_acq_rel); }
    // Single bits, while a CPU that walks the table may set others.
    static void set(Hpa at, u64 bits) { entry(at).fetch_or(bits, std::memory_order_acq_rel); }
    static void clear(Hpa at, u64 bits) { entry(at).fetch_and(~bits, std::memory_order_acq_rel); }

  private:
    static std::atomic_ref<u64> entry(Hpa at) { return std::atomic_ref<u64>(*to_virtual<u64>(at)); }
};

} // namespace vmm
