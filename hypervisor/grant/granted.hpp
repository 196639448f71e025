// SPDX-License-Identifier: Apache-2.0
//
// What one domain grants: the pages of grant entries it shares with the hypervisor (version 1 of the ABI),
// and beside each entry in use what the hypervisor knows of it, which alone decides. Counted: every mapping
// has a hold, so that it can be undone after the granting domain is gone. lock_ (Lock_rank::grant) covers
// everything; shared entries are hostile memory, read once and changed by compare-and-exchange.
#pragma once

#include "base/ref.hpp"
#include "base/spinlock.hpp"
#include "base/unique.hpp"
#include "mm/p2m.hpp"

#include <array>
#include <atomic>

#include <xen/grant_table.h>
#include <xen/xen.h>

namespace vmm
{

class Domain;

// Outcome of one grant operation, as the ABI reports it in the structure of each operation (GNTST_* of
// public/grant_table.h). The hypercall as a whole has an errno of its own besides.
enum class [[nodiscard]] Grant_status : s16{
    okay              = GNTST_okay,
    general_error     = GNTST_general_error,
    bad_domain        = GNTST_bad_domain,
    bad_gntref        = GNTST_bad_gntref,
    bad_handle        = GNTST_bad_handle,
    permission_denied = GNTST_permission_denied,
    bad_page          = GNTST_bad_page,
    bad_copy_arg      = GNTST_bad_copy_arg,
    eagain            = GNTST_eagain,
    no_space          = GNTST_no_space,
};

class Granted : public Counted<Granted>
{
  public:
    // Einval when `max_frames` is more than there can be.
    static Expected<Ref<Granted>> create(Domain& domain, u32 max_frames);
    Granted(Domain& domain, u32 max_frames) : domain_(&domain), max_frames_(max_frames) {}
    ~Granted();

    static constexpr u32 kMaxFrames       = 256;
    static constexpr u32 kEntriesPerFrame = kPageSize / sizeof(grant_entry_v1);

    // The shared page of that index, made now if there is none yet. Einval past the limit, enomem.
    Expected<Mfn> frame(u32 index);
    [[nodiscard]] u32 frame_count() const { return frame_count_.load(std::memory_order_relaxed); }
    [[nodiscard]] u32 max_frames() const { return max_frames_; }

    // `user` begins to use grant `ref`; the frame behind it is held until the matching unpin().
    struct Pinned {
        Mfn frame;
        Grant_status status;
    };
    Pinned pin(Domid user, Grant_ref ref, bool write);
    void unpin(Grant_ref ref, bool write);
    // A frame of the domain's own memory, or of a page it has mapped by a grant, held; kInvalidMfn if none.
    Mfn hold_own(Gfn gfn, bool write);
    // The frame behind a grant that the caller has pinned.
    [[nodiscard]] Mfn pinned_frame(Grant_ref ref) const { return active(ref.value()).frame; }
    // GNTTABOP_swap_grant_ref
    Grant_status swap(Grant_ref a, Grant_ref b);

    // The domain is going: nothing can be pinned any more, the shared pages are given back.
    void retire();

  private:
    // A grant in use. All users are one domain, the one the entry named when it was first pinned.
    struct Active {
        Mfn frame{0};
        u16 readers = 0; // uses that only read
        u16 writers = 0;
        u16 user    = 0;

        [[nodiscard]] bool pinned() const { return (readers | writers) != 0; }
    };
    static constexpr u16 kMaxPins = 0xfff0;
    using Actives                 = std::array<Active, kEntriesPerFrame>;

    struct Slot {
        Mfn shared = kInvalidMfn;
        Unique<Actives> actives;
    };

    [[nodiscard]] Active& active(u32 ref) const
    {
        return (*slots_[ref / kEntriesPerFrame].actives)[ref % kEntriesPerFrame];
    }
    [[nodiscard]] grant_entry_v1* shared(u32 ref) const;
    Expected<void> add_frame();
    bool take_frame(Active& entry, u32 gfn);

    Domain* domain_; // null once retired
    u32 max_frames_;
    std::atomic<u32> frame_count_{0};
    mutable Spinlock lock_{Lock_rank::grant};
    P2m::Cursor granting_; // where in the domain's memory the last grant was found,
    P2m::Cursor own_;      // and its last own page
    std::array<Slot, kMaxFrames> slots_;
};

} // namespace vmm
