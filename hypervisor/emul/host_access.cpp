// SPDX-License-Identifier: Apache-2.0
#include "emul/host_access.hpp"

#include "arch/x86/cpu/host_paging.hpp"
#include "arch/x86/cpu/port_io.hpp"
#include "base/bits.hpp"
#include "boot/boot_state.hpp"
#include "domain/domain.hpp"
#include "mm/direct_map.hpp"

#include <algorithm>

namespace vmm::host_access
{

u32 in(u16 port, u8 size)
{
    switch (size) {
    case 1: return in8(port);
    case 2: return in16(port);
    default: return in32(port);
    }
}

void out(u16 port, u8 size, u32 value)
{
    switch (size) {
    case 1: return out8(port, static_cast<u8>(value));
    case 2: return out16(port, static_cast<u16>(value));
    default: return out32(port, value);
    }
}

u64 read_memory(Hpa address, u8 size)
{
    switch (size) {
    case 1: return *to_virtual<const volatile u8>(address);
    case 2: return *to_virtual<const volatile u16>(address);
    case 4: return *to_virtual<const volatile u32>(address);
    default: return *to_virtual<const volatile u64>(address);
    }
}

void write_memory(Hpa address, u8 size, u64 value)
{
    switch (size) {
    case 1: *to_virtual<volatile u8>(address) = static_cast<u8>(value); return;
    case 2: *to_virtual<volatile u16>(address) = static_cast<u16>(value); return;
    case 4: *to_virtual<volatile u32>(address) = static_cast<u32>(value); return;
    default: *to_virtual<volatile u64>(address) = value; return;
    }
}

namespace
{

// The largest step from `gfn` that stays inside one mapping (or hole) and before `end`.
u64 step(const P2m& p2m, Gfn gfn, Gfn end)
{
    const u64 size = 1ull << p2m.lookup(gfn).order;
    return std::min(align_down(gfn.value(), size) + size, end.value()) - gfn.value();
}

// Whatever a device register says: memory is never a device.
bool overlaps_ram(Gfn first, Gfn end)
{
    const Hpa from(first.value() << kPageShift), to(end.value() << kPageShift);
    return std::any_of(boot_state.memory.begin(), boot_state.memory.end(), [&](const Memory_region& region) {
        return region.type == Memory_type::ram && region.start < to && from < region.end();
    });
}

unsigned removal_order(Gfn gfn, Gfn end)
{
    return is_aligned(gfn.value(), 1ull << kOrder2m) && end - gfn >= 1ull << kOrder2m ? kOrder2m : kOrder4k;
}

} // namespace

Expected<void> trap(Domain& domain, Gfn first, u64 count)
{
    P2m& p2m = domain.p2m();
    const Gfn end(TRY(checked_add(first.value(), count)));
    if (count == 0 || !P2m::in_range(end - 1))
        return fail(Errc::einval);
    if (overlaps_ram(first, end))
        return fail(Errc::ebusy);
    for (Gfn gfn = first; gfn < end; gfn = gfn + step(p2m, gfn, end)) {
        const P2m_entry entry = p2m.lookup(gfn);
        if (entry.present() && !is_mmio(entry.type))
            return fail(Errc::ebusy);
    }
    TRY(map_device_memory(Hpa(first.value() << kPageShift), count << kPageShift));
    // What was mapped leaves a hole of its own size, not a larger one that give_on_touch() would fill.
    TRY(give(domain, first, count));
    for (Gfn gfn = first; gfn < end;) {
        const unsigned order = removal_order(gfn, end);
        if (const auto removed = p2m.remove(gfn, order); !removed) {
            (void)give(domain, first, gfn - first); // or they fault, and find nothing
            return removed;
        }
        gfn = gfn + (1ull << order);
    }
    return {};
}

Expected<void> give(Domain& domain, Gfn first, u64 count)
{
    const Gfn end(TRY(checked_add(first.value(), count)));
    if (overlaps_ram(first, end))
        return fail(Errc::ebusy);
    return domain.p2m().set_identity(first, count, P2m_type::mmio);
}

bool give_on_touch(Domain& domain, Gpa gpa)
{
    const Gfn gfn        = to_gfn(gpa);
    const Gfn local_apic = to_gfn(Gpa(boot_state.madt.local_apic_address.value()));
    if (!domain.is_identity_mapped() || gfn == local_apic || !P2m::in_range(gfn) ||
        overlaps_ram(gfn, gfn + 1))
        return false;
    const Lock_guard guard(domain.lock());
    const P2m_entry entry = domain.p2m().lookup(gfn);
    if (entry.present()) // by another vCPU, which touched it first
        return is_mmio(entry.type);
    const Gfn large(align_down(gfn.value(), bit(kOrder2m)));
    const bool whole  = entry.order >= kOrder2m && !overlaps_ram(large, large + bit(kOrder2m));
    const Gfn first   = whole ? large : gfn;
    const auto placed = domain.p2m().set(first, Mfn(first.value()), whole ? kOrder2m : kOrder4k,
                                         P2m_type::mmio, P2m::Where::in_hole);
    return placed || placed.error() == Errc::eexist; // what came meanwhile is found by the next fault, if any
}

} // namespace vmm::host_access
