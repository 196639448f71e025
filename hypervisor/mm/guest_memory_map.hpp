// SPDX-License-Identifier: Apache-2.0
//
// The memory map a guest can ask for (XENMEM_memory_map), as its builder or the toolstack left it. Only
// kept and copied: the hypervisor never acts on it. Entries have the layout of the firmware's E820 call.
// [ACPI 15.1; xen/include/public/memory.h, XENMEM_memory_map]
#pragma once

#include "base/unique.hpp"

#include <span>

namespace vmm
{

struct [[gnu::packed]] E820_entry {
    u64 address;
    u64 size;
    u32 type;
};
static_assert(sizeof(E820_entry) == 20);

class Guest_memory_map
{
  public:
    static constexpr u32 kMaxEntries = 1024;

    Guest_memory_map()                                   = default;
    Guest_memory_map(const Guest_memory_map&)            = delete;
    Guest_memory_map& operator=(const Guest_memory_map&) = delete;
    ~Guest_memory_map() { delete[] entries_; }

    [[nodiscard]] std::span<const E820_entry> entries() const { return {entries_, count_}; }
    // Room for `count` entries, to be filled in; what was there is gone. Enomem changes nothing.
    Expected<std::span<E820_entry>> replace(u32 count)
    {
        auto* const fresh = new (std::nothrow) E820_entry[count]{};
        if (!fresh)
            return fail(Errc::enomem);
        delete[] std::exchange(entries_, fresh);
        count_ = count;
        return std::span<E820_entry>(entries_, count_);
    }

    void swap(Guest_memory_map& other)
    {
        std::swap(entries_, other.entries_);
        std::swap(count_, other.count_);
    }

  private:
    E820_entry* entries_ = nullptr;
    u32 count_           = 0;
};

} // namespace vmm
