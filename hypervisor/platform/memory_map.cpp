// SPDX-License-Identifier: Apache-2.0
#include "platform/memory_map.hpp"

#include "base/bits.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

// Which kind wins where two overlap: the last of these.
constexpr Memory_type kByCaution[] = {Memory_type::ram, Memory_type::acpi, Memory_type::nvs,
                                      Memory_type::reserved, Memory_type::unusable};
const Memory_type* caution(Memory_type type) { return std::ranges::find(kByCaution, type); }

Memory_type known(Memory_type type)
{
    const bool is = type >= Memory_type::ram && type <= Memory_type::unusable;
    return is ? type : Memory_type::reserved;
}

// What holds at `at`, and how far.
struct Stretch {
    bool present;
    Memory_type type;
    u64 end;
};

Stretch stretch_at(std::span<const Memory_region> regions, u64 at)
{
    Stretch s{false, Memory_type::ram, ~0ull};
    for (const Memory_region& r : regions) {
        const u64 start = r.start.value();
        u64 end{};
        if (r.size == 0 || __builtin_add_overflow(start, r.size, &end))
            continue;
        if (at < start) {
            s.end = std::min(s.end, start);
        } else if (at < end) {
            s.end                  = std::min(s.end, end);
            const Memory_type type = known(r.type);
            if (!s.present || caution(type) > caution(s.type))
                s.type = type;
            s.present = true;
        }
    }
    return s;
}

bool append(Memory_map& map, u64 start, u64 end, Memory_type type)
{
    if (!map.empty()) {
        Memory_region& last = map[map.size() - 1];
        if (last.type == type && last.end() == Hpa(start)) {
            last.size += end - start;
            return true;
        }
    }
    return map.push({Hpa(start), end - start, type});
}

// RAM shrinks to whole pages.
void trim_ram(Memory_map& map)
{
    for (Memory_region& r : map) {
        if (r.type != Memory_type::ram)
            continue;
        const u64 start = align_up(r.start.value(), kPageSize);
        const u64 end   = align_down(r.end().value(), kPageSize);
        r               = {Hpa(start), end > start ? end - start : 0, r.type};
    }
    const auto empty = std::ranges::remove(map, u64{0}, &Memory_region::size);
    map.truncate(map.size() - empty.size());
}

} // namespace

Expected<void> make_memory_map(std::span<const Memory_region> from_loader, Memory_map& map)
{
    map.truncate(0);
    for (u64 at = 0; at != ~0ull;) {
        const Stretch s = stretch_at(from_loader, at);
        if (s.present && !append(map, at, s.end, s.type))
            return fail(Errc::e2big);
        at = s.end;
    }
    trim_ram(map);
    return {};
}

u64 memory_bytes(const Memory_map& map, Memory_type type)
{
    u64 total = 0;
    for (const Memory_region& r : map)
        total += r.type == type ? r.size : 0;
    return total;
}

Hpa memory_end(const Memory_map& map, Memory_type type)
{
    Hpa end;
    for (const Memory_region& r : map) {
        if (r.type == type)
            end = r.end();
    }
    return end;
}

bool memory_is(const Memory_map& map, Memory_type type, Hpa start, u64 size)
{
    // Neighbours of one kind were merged, so one region holds all or it is not there.
    return std::any_of(map.begin(), map.end(), [&](const Memory_region& r) {
        return r.type == type && start >= r.start && start < r.end() && size <= r.end() - start;
    });
}

Expected<void> Used_ranges::add(Hpa start, Hpa end)
{
    const Memory_range range{Hpa(align_down(start.value(), kPageSize)),
                             Hpa(align_up(end.value(), kPageSize))};
    if (range.end <= range.start)
        return {};
    if (!list_.push(range))
        return fail(Errc::e2big);
    auto* const at =
        std::ranges::lower_bound(list_.begin(), list_.end() - 1, range.start, {}, &Memory_range::start);
    std::rotate(at, list_.end() - 1, list_.end());
    return {};
}

Expected<Hpa> find_free(const Memory_map& map, const Used_ranges& used, u64 size, u64 alignment, Hpa limit)
{
    Hpa best;
    bool found = false;
    for_each_free(map, used, [&](Hpa start, Hpa end) {
        const u64 top = std::min(end.value(), limit.value());
        if (top < size)
            return;
        const u64 at = align_down(top - size, alignment);
        if (at >= start.value()) {
            best  = Hpa(at);
            found = true;
        }
    });
    if (!found)
        return fail(Errc::enomem);
    return best;
}

} // namespace vmm
