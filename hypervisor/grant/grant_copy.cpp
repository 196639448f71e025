// SPDX-License-Identifier: Apache-2.0
//
// GNTTABOP_copy: bytes between two pages, each named by a grant or, if it is the caller's own, by its guest
// frame number.
#include "grant/grant_table.hpp"

#include "base/string.hpp"
#include "mm/direct_map.hpp"
#include "mm/frame_allocator.hpp"
#include "mm/p2m.hpp"

namespace vmm
{

[[gnu::always_inline]] inline Grant_status Grant_table::take(Named_domain& named,
                                                             const gnttab_copy::gnttab_copy_ptr& place,
                                                             bool is_grant, bool write, Copy_end& end)
{
    if (!is_grant && place.domid != DOMID_SELF) [[unlikely]]
        return Grant_status::permission_denied;
    if (is_grant) {
        Domain* domain = named.find(place.domid, domain_);
        if (!domain) [[unlikely]]
            return Grant_status::bad_domain;
        Granted& granted  = *domain->grants().granted_;
        const auto pinned = granted.pin(domain_.id(), Grant_ref(place.u.ref), write);
        end               = {pinned.frame, &granted};
        return pinned.status;
    }
    end = {granted_->hold_own(Gfn(place.u.gmfn), write), nullptr};
    return end.frame == kInvalidMfn ? Grant_status::bad_page : Grant_status::okay;
}

[[gnu::always_inline]] inline void Grant_table::let_go(const Copy_end& end,
                                                       const gnttab_copy::gnttab_copy_ptr& place, bool write)
{
    if (end.granted)
        return end.granted->unpin(Grant_ref(place.u.ref), write);
    if (write)
        frames.mark_written(end.frame);
    frames.put(end.frame);
}

Grant_status Grant_table::copy(const gnttab_copy& op, Named_domain& source, Named_domain& destination)
{
    Copy_end from;
    Copy_end to;
    const Grant_status read = take(source, op.source, op.flags & GNTCOPY_source_gref, false, from);
    if (read != Grant_status::okay) [[unlikely]]
        return read;
    Grant_status status = take(destination, op.dest, op.flags & GNTCOPY_dest_gref, true, to);
    if (status == Grant_status::okay) [[likely]] {
        u8* target       = to_virtual<u8>(to.frame) + op.dest.offset;
        const u8* origin = to_virtual<u8>(from.frame) + op.source.offset;
        if (u32{op.source.offset} + op.len > kPageSize || u32{op.dest.offset} + op.len > kPageSize)
            [[unlikely]]
            status = Grant_status::bad_copy_arg;
        else if (to.frame == from.frame) [[unlikely]]
            bytes::move(target, origin, op.len);
        else
            bytes::copy(target, origin, op.len);
        let_go(to, op.dest, true);
    }
    let_go(from, op.source, false);
    return status;
}

} // namespace vmm
