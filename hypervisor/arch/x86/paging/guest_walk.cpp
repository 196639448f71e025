// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/paging/guest_walk.hpp"

#include "arch/x86/regs/control.hpp"
#include "mm/frame_allocator.hpp"
#include "mm/region_cache.hpp"

namespace vmm
{
namespace
{

constexpr u64 kPresent  = bit(0);
constexpr u64 kWritable = bit(1);
constexpr u64 kUser     = bit(2);
constexpr u64 kAccessed = bit(5);
constexpr u64 kDirty    = bit(6);
constexpr u64 kLarge    = bit(7);

struct Access {
    bool write;
    bool user;
    bool write_protect;
    bool keep_off_user; // SMAP is on and not suspended
};

// 64-bit entries: PAE and long mode.
struct Wide {
    using Entry                       = u64;
    static constexpr unsigned bits    = 9;
    static constexpr unsigned largest = 3;
    static constexpr u64 target       = field(~0ull, 51, 12) << 12;
    static u64 leaf(u64 entry, unsigned level) { return entry & target & ~low_bits(12 + (level - 1) * bits); }
};

// 32-bit entries; a 4 MiB page has address bits 39:32 in bits 20:13 (PSE-36). [APM2 5.2.1]
struct Narrow {
    using Entry                       = u32;
    static constexpr unsigned bits    = 10;
    static constexpr unsigned largest = 2;
    static constexpr u64 target       = field(~0ull, 31, 12) << 12;
    static u64 leaf(u64 entry, unsigned level)
    {
        if (level == 1)
            return entry & target;
        return (field(entry, 31, 22) << 22) | (field(entry, 20, 13) << 32);
    }
};

// A table of the guest's, and where in it the walk is.
template <class Entry>
struct Slot {
    P2m& p2m;
    Region_cache& regions;
    u64 gpa;
    Entry* host;
};

// The entry as it is then, with bits the CPU sets in it. The table may be in common with other domains; 0
// where there is no memory for one of its own.
template <class Entry>
[[gnu::noinline]] u64 note_slowly(Slot<Entry>& slot, u64 entry, u64 bits)
{
    slot.host =
        reinterpret_cast<Entry*>(slot.regions.locate(slot.p2m, slot.gpa, Region_cache::Access::write));
    if (!slot.host)
        return 0;
    std::atomic_ref<Entry>(*slot.host).fetch_or(static_cast<Entry>(bits), std::memory_order_acq_rel);
    frames.mark_written(to_mfn(to_physical(slot.host)));
    return entry | bits;
}
template <class Entry>
u64 note(Slot<Entry>& slot, u64 entry, u64 bits)
{
    return (entry & bits) == bits ? entry : note_slowly(slot, entry, bits);
}

void record(Walk_trace& trace, unsigned level, u64* slot, u64 value)
{
    for (unsigned i = 0; i < level; ++i) {
        trace.slots[i]  = slot;
        trace.values[i] = value;
    }
}

bool allowed(u64 rights, const Access& access)
{
    const bool user_page = (rights & kUser) != 0;
    if (access.user ? !user_page : (user_page && access.keep_off_user))
        return false;
    return !access.write || (rights & kWritable) != 0 || (!access.user && !access.write_protect);
}

// The tables of one paging mode. PAE's four top entries carry no permissions, and are never leaves.
template <class Format, unsigned levels, bool top_has_rights = true>
Expected<Guest_walk> walk(P2m& p2m, Region_cache& regions, u64 root, bool large_pages, u64 gva,
                          const Access& access, Walk_trace& trace)
{
    using Entry = typename Format::Entry;
    u64 rights  = kWritable | kUser;
    u64 table   = root;
#pragma GCC unroll 5
    for (unsigned level = levels; level > 0; --level) {
        const unsigned shift = static_cast<unsigned>(kPageShift) + (level - 1) * Format::bits;
        const u64 index      = (gva >> shift) & low_bits(Format::bits);
        const u64 gpa        = table + index * sizeof(Entry);
        Slot<Entry> slot{p2m, regions, gpa,
                         reinterpret_cast<Entry*>(regions.locate(p2m, gpa, Region_cache::Access::read))};
        if (!slot.host) [[unlikely]]
            return fail(Errc::efault);
        u64 entry = std::atomic_ref(*slot.host).load(std::memory_order_relaxed);
        if (!(entry & kPresent)) [[unlikely]]
            return fail(Errc::efault);
        const bool has_rights = level < levels || top_has_rights;
        if (has_rights)
            rights &= entry;
        const bool leaf = level == 1 || ((entry & kLarge) != 0 && large_pages && has_rights);
        if (!leaf) {
            if (has_rights)
                entry = note(slot, entry, kAccessed);
            if (entry == 0) [[unlikely]]
                return fail(Errc::efault);
            if constexpr (levels == Walk_trace::kLevels)
                record(trace, level, slot.host, entry);
            table = entry & Format::target;
            continue;
        }
        if (level > Format::largest || !allowed(rights, access)) [[unlikely]]
            return fail(Errc::efault);
        entry = note(slot, entry, access.write ? kAccessed | kDirty : kAccessed);
        if (entry == 0) [[unlikely]]
            return fail(Errc::efault);
        if constexpr (levels == Walk_trace::kLevels) {
            record(trace, level, slot.host, entry);
            trace.complete = true;
        }
        const bool writable = access.write || ((rights & kWritable) != 0 && (entry & kDirty) != 0);
        return Guest_walk{Gpa(Format::leaf(entry, level) + (gva & low_bits(shift))), writable};
    }
    return fail(Errc::efault);
}

} // namespace

Expected<Guest_walk> walk_guest(P2m& p2m, Region_cache& regions, const Paging_state& paging,
                                bool alignment_check, Gva gva, bool write, Walk_trace& trace)
{
    trace.complete    = false;
    const u64 address = gva.value();
    if (!(paging.cr0 & cr0::pg))
        return Guest_walk{Gpa(address), true};
    const bool user = paging.cpl == 3;
    const Access access{.write         = write,
                        .user          = user,
                        .write_protect = (paging.cr0 & cr0::wp) != 0,
                        .keep_off_user = (paging.cr4 & cr4::smap) != 0 && !alignment_check};
    if (paging.efer & efer::lma) [[likely]] {
        const bool five = (paging.cr4 & cr4::la57) != 0;
        if (sign_extend(address, 12 + (five ? 5 : 4) * Wide::bits) != address)
            return fail(Errc::efault);
        const u64 root = paging.cr3 & Wide::target;
        return five ? walk<Wide, 5>(p2m, regions, root, true, address, access, trace)
                    : walk<Wide, 4>(p2m, regions, root, true, address, access, trace);
    }
    if (address >> 32)
        return fail(Errc::efault);
    if (paging.cr4 & cr4::pae)
        return walk<Wide, 3, false>(p2m, regions, paging.cr3 & 0xffffffe0, true, address, access, trace);
    return walk<Narrow, 2>(p2m, regions, paging.cr3 & Narrow::target, (paging.cr4 & cr4::pse) != 0, address,
                           access, trace);
}

} // namespace vmm
