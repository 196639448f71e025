// SPDX-License-Identifier: Apache-2.0
#include "grant/grant_table.hpp"

#include "mm/frame_allocator.hpp"
#include "mm/p2m.hpp"
#include "mm/reservation.hpp"

namespace vmm
{

namespace
{

// Mappings undone before the caller of release_mappings() gets a chance to be interrupted.
constexpr u32 kHandlesPerPiece = 512;

constexpr P2m_type type_for(bool write) { return write ? P2m_type::grant_rw : P2m_type::grant_ro; }

constexpr s16 number(Grant_status status) { return static_cast<s16>(status); }

} // namespace

Expected<Unique<Grant_table>> Grant_table::create(Domain& domain, u32 max_frames, u32 max_maptrack_frames)
{
    if (max_maptrack_frames > Maptrack::kMaxPages)
        return fail(Errc::einval);
    Ref<Granted> granted = TRY(Granted::create(domain, max_frames));
    return make_unique<Grant_table>(domain, std::move(granted), max_maptrack_frames);
}

[[gnu::always_inline]] inline Grant_status Grant_table::place(Gfn gfn, Mfn frame, bool write)
{
    P2m& p2m   = domain_.p2m();
    auto added = p2m.add_page(gfn, frame, type_for(write));
    // What is there is given up, unless it is another grant or the machine's.
    if (!added && added.error() == Errc::eexist && give_up(domain_, gfn, kOrder4k))
        return p2m.add_page(gfn, frame, type_for(write)) ? Grant_status::okay : Grant_status::general_error;
    return added ? Grant_status::okay : Grant_status::general_error;
}

[[gnu::always_inline]] inline Grant_status Grant_table::map_at(const gnttab_map_grant_ref& op,
                                                               Domain& granter, u32 handle, Mfn& frame)
{
    Granted& granted = *granter.grants().granted_;
    const Grant_ref ref(op.ref);
    const bool write  = !(op.flags & GNTMAP_readonly);
    const auto pinned = granted.pin(domain_.id(), ref, write);
    if (pinned.status != Grant_status::okay) [[unlikely]]
        return pinned.status;
    frame                     = pinned.frame;
    const Grant_status placed = place(to_gfn(Gpa(op.host_addr)), frame, write);
    if (placed != Grant_status::okay) [[unlikely]] {
        granted.unpin(ref, write);
        return placed;
    }
    Mapping& mapping = maptrack_.at(handle);
    mapping.granted  = Ref<Granted>::hold(granted);
    mapping.ref      = op.ref;
    mapping.write    = write;
    return Grant_status::okay;
}

Grant_status Grant_table::map(gnttab_map_grant_ref& op, Named_domain& named)
{
    if (!(op.flags & (GNTMAP_host_map | GNTMAP_device_map)))
        return Grant_status::bad_gntref;
    // A translated guest names guest-physical addresses of its own, nothing of a device and no page tables.
    if ((op.flags & ~u32{GNTMAP_readonly}) != GNTMAP_host_map)
        return Grant_status::general_error;
    Domain* granter = named.find(op.dom);
    if (!granter)
        return Grant_status::bad_domain;
    const u32 handle = maptrack_.allocate();
    if (handle == Maptrack::kNoHandle)
        return Grant_status::no_space;
    Mfn frame;
    const Grant_status status = map_at(op, *granter, handle, frame);
    if (status != Grant_status::okay) {
        maptrack_.free(handle);
        return status;
    }
    op.handle       = handle;
    op.dev_bus_addr = to_hpa(frame).value();
    maptrack_.keep(handle);
    return Grant_status::okay;
}

// The map leads there no longer, but CPUs may still know the way. Null when there is nothing to undo.
Mapping* Grant_table::take_away(gnttab_unmap_grant_ref& op)
{
    Mapping* mapping = maptrack_.claim(op.handle);
    op.status        = number(mapping ? Grant_status::okay : Grant_status::bad_handle);
    if (!mapping)
        return nullptr;
    const bool names_one = op.host_addr != 0;
    if (names_one && domain_.p2m().remove_page(to_gfn(Gpa(op.host_addr)),
                                               mapping->granted->pinned_frame(Grant_ref(mapping->ref)),
                                               type_for(mapping->write)))
        return mapping;
    if (names_one)
        op.status = number(Grant_status::general_error);
    maptrack_.keep(op.handle);
    return nullptr;
}

void Grant_table::unmap(std::span<gnttab_unmap_grant_ref> ops)
{
    std::array<Mapping*, kMostUnmapped> taken;
    bool any = false;
    for (std::size_t i = 0; i < ops.size(); ++i)
        any |= (taken[i] = take_away(ops[i])) != nullptr;
    if (!any)
        return;
    domain_.p2m().forget_everywhere();
    for (std::size_t i = 0; i < ops.size(); ++i) {
        if (!taken[i])
            continue;
        taken[i]->granted->unpin(Grant_ref(taken[i]->ref), taken[i]->write);
        maptrack_.free(ops[i].handle);
    }
}

Expected<void> Grant_table::release_mappings()
{
    u32 budget = kHandlesPerPiece;
    for (; released_handles_ < maptrack_.end(); ++released_handles_) {
        if (budget-- == 0)
            return fail(Errc::erestart);
        if (Mapping* mapping = maptrack_.claim(released_handles_)) {
            mapping->granted->unpin(Grant_ref(mapping->ref), mapping->write);
            maptrack_.free(released_handles_);
        }
    }
    granted_->retire();
    return {};
}

} // namespace vmm
