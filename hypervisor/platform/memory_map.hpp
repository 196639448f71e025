// SPDX-License-Identifier: Apache-2.0
//
// The machine's physical memory by kind: sorted, without overlap, RAM cut to whole pages. Made from the
// loader's list; where entries overlap, the more cautious kind wins. dom0's builder derives dom0's map from
// it. Also a list of what in RAM is in use (image, modules), from which the free ranges follow. Pure.
#pragma once

#include "platform/boot_info.hpp"

namespace vmm
{

using Memory_map = Fixed_list<Memory_region, 2 * kMaxMemoryRegions>;

// Regions that wrap around or are empty are left out; kinds beyond the known ones count as reserved.
// E2big when the result does not fit.
Expected<void> make_memory_map(std::span<const Memory_region> from_loader, Memory_map& map);

// Bytes of a kind, and the end of the highest region of a kind.
[[nodiscard]] u64 memory_bytes(const Memory_map& map, Memory_type type);
[[nodiscard]] Hpa memory_end(const Memory_map& map, Memory_type type);
// Whether all of [start, start + size) is of that kind.
[[nodiscard]] bool memory_is(const Memory_map& map, Memory_type type, Hpa start, u64 size);

struct Memory_range {
    Hpa start;
    Hpa end;
};

// RAM that is spoken for during boot, sorted and in whole pages.
class Used_ranges
{
  public:
    // E2big when the list is full.
    Expected<void> add(Hpa start, Hpa end);
    [[nodiscard]] std::span<const Memory_range> list() const { return {list_.begin(), list_.size()}; }

  private:
    Fixed_list<Memory_range, 32> list_;
};

// Calls visit(start, end) for each part of `within` that none of `taken`, which is sorted, covers; ascending.
template <class Visit>
void for_each_gap(Memory_range within, std::span<const Memory_range> taken, Visit visit)
{
    Hpa at = within.start;
    for (const Memory_range& range : taken) {
        if (range.end <= at || range.start >= within.end)
            continue;
        if (range.start > at)
            visit(at, range.start);
        at = range.end;
    }
    if (at < within.end)
        visit(at, within.end);
}

// Calls visit(start, end) for each unused page-aligned stretch of RAM, ascending.
template <class Visit>
void for_each_free(const Memory_map& map, const Used_ranges& used, Visit visit)
{
    for (const Memory_region& region : map) {
        if (region.type == Memory_type::ram)
            for_each_gap({region.start, region.end()}, used.list(), visit);
    }
}

// The highest free stretch of that size and alignment that ends at or below `limit`. Enomem.
Expected<Hpa> find_free(const Memory_map& map, const Used_ranges& used, u64 size, u64 alignment, Hpa limit);

} // namespace vmm
