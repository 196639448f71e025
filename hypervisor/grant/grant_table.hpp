// SPDX-License-Identifier: Apache-2.0
//
// Grants of one domain, both ways: what it grants to others (Granted) and what it has mapped of theirs
// (Maptrack), with the operations of GNTTABOP_* that act on pages [xen/include/public/grant_table.h].
// Version 1 of the ABI; all guests are translated, so a mapping is an entry in the guest-physical map and
// devices are never named. Owned by its Domain; no lock is held from one of its two halves to the other.
#pragma once

#include "base/relaxed.hpp"
#include "domain/domain_table.hpp"
#include "grant/granted.hpp"
#include "grant/maptrack.hpp"

#include <span>

namespace vmm
{

// The domain an operation names: in a batch it is mostly the domain of the operation before.
class Named_domain
{
  public:
    // Null when there is no such domain.
    Domain* find(domid_t id) { return last_ && last_->id() == Domid(id) ? last_.get() : look_up(id); }
    // The same, where DOMID_SELF and the caller's own number mean the caller.
    Domain* find(domid_t id, Domain& self)
    {
        return id == DOMID_SELF || Domid(id) == self.id() ? &self : find(id);
    }

  private:
    Domain* look_up(domid_t id)
    {
        last_ = find_domain(Domid(id));
        return last_.get();
    }

    Ref<Domain> last_;
};

class Grant_table
{
  public:
    // Limits in pages: of grant entries, and of maptrack (256 mappings each).
    static Expected<Unique<Grant_table>> create(Domain& domain, u32 max_frames, u32 max_maptrack_frames);
    Grant_table(Domain& domain, Ref<Granted> granted, u32 max_maptrack_frames)
        : domain_(domain), granted_(std::move(granted)), maptrack_(max_maptrack_frames)
    {
    }

    // The shared page of that index, made now if need be (XENMEM_add_to_physmap, acquire_resource).
    Expected<Mfn> frame(u32 index) { return granted_->frame(index); }
    [[nodiscard]] u32 frame_count() const { return granted_->frame_count(); }
    [[nodiscard]] u32 max_frames() const { return granted_->max_frames(); }
    // Where the guest was last given that page, for GNTTABOP_setup_table to answer.
    void set_frame_gfn(u32 index, Gfn gfn) { placed_[index] = gfn.value() + 1; }
    [[nodiscard]] Gfn frame_gfn(u32 index) const { return Gfn(placed_[index] - 1); }

    // What this domain does with grants of others. What `map` answers beside its outcome goes into `op`.
    Grant_status map(gnttab_map_grant_ref& op, Named_domain& granter);
    // All at once, each outcome in its op: CPUs are told to forget the mappings only once. At most
    // kMostUnmapped.
    static constexpr u32 kMostUnmapped = 32;
    void unmap(std::span<gnttab_unmap_grant_ref> ops);
    Grant_status copy(const gnttab_copy& op, Named_domain& source, Named_domain& destination);
    // GNTTABOP_swap_grant_ref, on its own grants.
    Grant_status swap(Grant_ref a, Grant_ref b) { return granted_->swap(a, b); }

    // For a domain that dies: undoes its mappings of others' pages, then gives back its shared pages.
    // Pages others have mapped stay theirs until they unmap. Erestart while there is more.
    Expected<void> release_mappings();

  private:
    // One end of a copy: a page that stays until it is let go. `granted` is null for an own page.
    struct Copy_end {
        Mfn frame;
        Granted* granted;
    };
    Grant_status take(Named_domain& named, const gnttab_copy::gnttab_copy_ptr& place, bool is_grant,
                      bool write, Copy_end& end);
    static void let_go(const Copy_end& end, const gnttab_copy::gnttab_copy_ptr& place, bool write);

    Grant_status map_at(const gnttab_map_grant_ref& op, Domain& granter, u32 handle, Mfn& frame);
    Grant_status place(Gfn gfn, Mfn frame, bool write);
    Mapping* take_away(gnttab_unmap_grant_ref& op);

    Domain& domain_;
    Ref<Granted> granted_;
    Maptrack maptrack_;
    u32 released_handles_ = 0;
    std::array<Relaxed<u64>, Granted::kMaxFrames> placed_{}; // gfn + 1
};

} // namespace vmm
