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

namespace
{

// A frame the domain has at gfn, held: its memory, or a page it has mapped by a grant. kInvalidMfn if none.
[[gnu::always_inline]] inline Mfn hold_own(Domain& domain, Gfn gfn, bool write, P2m::Cursor& cursor)
{
    const Mfn frame = domain.p2m().ram_frame(gfn, write, cursor);
    if (frame != kInvalidMfn) [[likely]]
        return frames.get_from(frame, domain.id()) ? frame : kInvalidMfn;
    const P2m_entry page = domain.p2m().lookup(gfn);
    const bool granted   = page.type == P2m_type::grant_rw || (page.type == P2m_type::grant_ro && !write);
    return granted && frames.get(page.mfn) ? page.mfn : kInvalidMfn;
}

} // namespace

[[gnu::always_inline]] inline Grant_status
Grant_table::Copy_end::take(Domain& caller, Named_domain& named, const gnttab_copy::gnttab_copy_ptr& end, bool is_grant,
                            bool write)
{
    if (!is_grant && end.domid != DOMID_SELF) [[unlikely]]
        return Grant_status::permission_denied;
    Domain* domain = named.find(end.domid, caller);
    if (!domain) [[unlikely]]
        return Grant_status::bad_domain;
    if (is_grant) {
        Granted& granted          = *domain->grants().granted_;
        ref_                      = Grant_ref(end.u.ref);
        write_                    = write;
        const Grant_status pinned = granted.pin(caller.id(), ref_, write, named.cursor(), frame_);
        granted_                  = pinned == Grant_status::okay ? &granted : nullptr;
        return pinned;
    }
    frame_ = hold_own(*domain, Gfn(end.u.gmfn), write, named.cursor());
    return frame_ == kInvalidMfn ? Grant_status::bad_page : Grant_status::okay;
}

[[gnu::always_inline]] inline Grant_table::Copy_end::~Copy_end()
{
    if (granted_)
        granted_->unpin(ref_, write_);
    else if (frame_ != kInvalidMfn)
        frames.put(frame_);
}

[[gnu::always_inline]] inline Grant_status Grant_table::copy_between(gnttab_copy& op, Named_domain& source,
                                                                     Named_domain& destination)
{
    Copy_end from;
    Copy_end to;
    const Grant_status read = from.take(domain_, source, op.source, op.flags & GNTCOPY_source_gref, false);
    if (read != Grant_status::okay) [[unlikely]]
        return read;
    const Grant_status written = to.take(domain_, destination, op.dest, op.flags & GNTCOPY_dest_gref, true);
    if (written != Grant_status::okay) [[unlikely]]
        return written;
    if (u32{op.source.offset} + op.len > kPageSize || u32{op.dest.offset} + op.len > kPageSize) [[unlikely]]
        return Grant_status::bad_copy_arg;

    u8* target       = to_virtual<u8>(to.frame()) + op.dest.offset;
    const u8* origin = to_virtual<u8>(from.frame()) + op.source.offset;
    if (to.frame() == from.frame()) [[unlikely]]
        bytes::move(target, origin, op.len);
    else
        bytes::copy(target, origin, op.len);
    return Grant_status::okay;
}

void Grant_table::copy(gnttab_copy& op, Named_domain& source, Named_domain& destination)
{
    op.status = static_cast<s16>(copy_between(op, source, destination));
}

} // namespace vmm
