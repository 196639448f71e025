// SPDX-License-Identifier: Apache-2.0
#include "dom0/memory_plan.hpp"

#include "base/bits.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

// When nobody says how much dom0 gets: a sixteenth stays for the hypervisor's own needs, within limits that
// leave room for unpacking the kernel (its image and the decoder's window, each in one piece).
u64 default_reserve(u64 total) { return std::min(std::clamp(total / 16, 192 * kMiB, 512 * kMiB), total / 2); }

constexpr Hpa kFourGiB{4 * kGiB};
// Linux reads the start info, and what it points to, through its first page tables, which map this much.
constexpr Hpa kStartLimit{kGiB};

// The highest place of `size` bytes (whole pages) in dom0's RAM below `limit` that is not taken.
Expected<Hpa> find_place(const Memory_plan& plan, const Used_ranges& taken, u64 size, Hpa limit)
{
    Memory_map ram;
    for (const Memory_range& range : plan.dom0)
        ram.push({range.start, range.end - range.start, Memory_type::ram});
    return find_free(ram, taken, size, kPageSize, limit);
}

bool lies_in(const Memory_range& inner, std::span<const Memory_range> list)
{
    return std::any_of(list.begin(), list.end(), [&](const Memory_range& outer) {
        return inner.start >= Hpa(align_down(outer.start.value(), kPageSize)) &&
               inner.end <= Hpa(align_up(outer.end.value(), kPageSize));
    });
}

// Everything dom0 could have.
Expected<Used_ranges> kept_ranges(std::span<const Memory_range> used, std::span<const Memory_range> lendable)
{
    Used_ranges kept;
    for (const Memory_range& range : used) {
        if (!lies_in(range, lendable))
            TRY(kept.add(range.start, range.end));
    }
    return kept;
}

} // namespace

bool Memory_plan::contains(Hpa start, u64 size) const
{
    return std::any_of(dom0.begin(), dom0.end(), [&](const Memory_range& range) {
        return start >= range.start && start < range.end && size <= range.end - start;
    });
}

Expected<void> plan_memory(const Memory_map& host, std::span<const Memory_range> used,
                           std::span<const Memory_range> lendable, u64 wanted, Memory_plan& plan)
{
    const auto kept = TRY(kept_ranges(used, lendable));
    u64 total       = 0;
    for_each_free(host, kept, [&](Hpa start, Hpa end) { total += end - start; });
    const u64 reserve = default_reserve(total);
    plan.most_bytes   = total > reserve ? align_down(total - reserve, kPageSize) : 0;
    if (wanted > total)
        return fail(Errc::enomem);
    u64 left  = wanted != 0 ? align_up(wanted, kPageSize) : plan.most_bytes;
    bool fits = true;
    for_each_free(host, kept, [&](Hpa start, Hpa end) {
        const u64 size = std::min(left, end - start);
        if (size == 0)
            return;
        fits &= plan.dom0.push({start, start + size});
        left -= size;
        plan.dom0_bytes += size;
    });
    if (!fits)
        return fail(Errc::e2big);
    if (plan.dom0_bytes == 0)
        return fail(Errc::enomem);
    return {};
}

Expected<void> make_dom0_map(const Memory_map& host, const Memory_plan& plan, Memory_range tables,
                             Dom0_map& map)
{
    bool fits      = true;
    const auto add = [&](Hpa start, Hpa end, Memory_type type) {
        if (end > start)
            fits &= map.push({start, end - start, type});
    };
    for (const Memory_region& region : host) {
        if (region.type != Memory_type::ram) {
            add(region.start, region.end(), region.type);
            continue;
        }
        Hpa at = region.start;
        for (const Memory_range& own : plan.dom0) {
            if (own.start < region.start || own.start >= region.end())
                continue;
            add(at, own.start, Memory_type::unusable);
            const bool has_tables =
                tables.start >= own.start && tables.end <= own.end && tables.end > tables.start;
            add(own.start, has_tables ? tables.start : own.end, Memory_type::ram);
            if (has_tables) {
                add(tables.start, tables.end, Memory_type::acpi);
                add(tables.end, own.end, Memory_type::ram);
            }
            at = own.end;
        }
        add(at, region.end(), Memory_type::unusable);
    }
    if (!fits)
        return fail(Errc::e2big);
    return {};
}

Expected<Dom0_layout> place_dom0(const Memory_plan& plan, Memory_range kernel, u64 tables, u64 start,
                                 u64 initrd)
{
    Used_ranges taken;
    TRY(taken.add(kernel.start, kernel.end));
    const auto start_at = TRY(find_place(plan, taken, align_up(start, kPageSize), kStartLimit));
    TRY(taken.add(start_at, start_at + start));
    const auto tables_at = TRY(find_place(plan, taken, align_up(tables, kPageSize), kFourGiB));
    TRY(taken.add(tables_at, tables_at + tables));
    const auto initrd_at =
        initrd == 0 ? Hpa(0) : TRY(find_place(plan, taken, align_up(initrd, kPageSize), kFourGiB));
    return Dom0_layout{{tables_at, tables_at + align_up(tables, kPageSize)},
                       {start_at, start_at + align_up(start, kPageSize)},
                       {initrd_at, initrd_at + initrd}};
}

} // namespace vmm
