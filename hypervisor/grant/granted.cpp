// SPDX-License-Identifier: Apache-2.0
#include "grant/granted.hpp"

#include "base/bits.hpp"
#include "domain/domain.hpp"
#include "mm/direct_map.hpp"
#include "mm/frame_allocator.hpp"
#include "mm/p2m.hpp"

namespace vmm
{

namespace
{

// Flags and domid are one word, so that they can be judged and marked together.
union Entry_head {
    struct {
        u16 flags;
        domid_t domid;
    } part;
    u32 word;
};

std::atomic_ref<u32> head_of(grant_entry_v1& entry)
{
    return std::atomic_ref(*reinterpret_cast<u32*>(&entry)); // the page is aligned, and so is each entry
}

// Marks the entry as in use, if it grants what is asked. Bounded: a guest that keeps changing the entry
// is told that it is unstable.
Grant_status mark_in_use(grant_entry_v1& entry, Domid user, bool write)
{
    const std::atomic_ref<u32> head = head_of(entry);
    Entry_head seen{.word = head.load()};
    for (unsigned tries = 0; tries < 5; ++tries) {
        if ((seen.part.flags & GTF_type_mask) != GTF_permit_access || seen.part.domid != user.value())
            return Grant_status::general_error;
        if (write && (seen.part.flags & GTF_readonly))
            return Grant_status::general_error;
        Entry_head marked = seen;
        marked.part.flags = static_cast<u16>(seen.part.flags | GTF_reading | (write ? GTF_writing : 0));
        if (head.compare_exchange_strong(seen.word, marked.word))
            return Grant_status::okay;
    }
    return Grant_status::general_error;
}

void clear_flags(grant_entry_v1& entry, u16 flags)
{
    head_of(entry).fetch_and(~static_cast<u32>(flags), std::memory_order_release);
}

} // namespace

Expected<Ref<Granted>> Granted::create(Domain& domain, u32 max_frames)
{
    if (max_frames == 0 || max_frames > kMaxFrames)
        return fail(Errc::einval);
    return Ref<Granted>(TRY(make_unique<Granted>(domain, max_frames)).release());
}

Granted::~Granted() { retire(); }

grant_entry_v1* Granted::shared(u32 ref) const
{
    return &to_virtual<grant_entry_v1>(slots_[ref / kEntriesPerFrame].shared)[ref % kEntriesPerFrame];
}

Expected<void> Granted::add_frame()
{
    Slot& slot   = slots_[frame_count()];
    slot.actives = TRY(make_unique<Actives>());
    slot.shared  = TRY(frames.allocate(0));
    frames.share(slot.shared, domain_->id());
    frame_count_.store(frame_count() + 1, std::memory_order_relaxed);
    return {};
}

Expected<Mfn> Granted::frame(u32 index)
{
    const Lock_guard guard(lock_);
    if (index >= max_frames_ || !domain_)
        return fail(Errc::einval);
    while (frame_count() <= index)
        TRY(add_frame());
    return slots_[index].shared;
}

// Only the domain's own memory can be granted, not what is mapped into it from elsewhere.
[[gnu::always_inline]] inline bool Granted::take_frame(Active& entry, u32 gfn)
{
    Mfn frame = domain_->p2m().ram_frame(Gfn(gfn), granting_);
    if (!frames.get_from(frame, domain_->id())) [[unlikely]] {
        // It may be in common with other domains: who maps it is to see what this one writes.
        frame = domain_->p2m().hold_own(Gfn(gfn));
        if (frame == kInvalidMfn)
            return false;
    }
    entry.frame = frame;
    return true;
}

Granted::Pinned Granted::pin(Domid user, Grant_ref grant_ref, bool write)
{
    const Lock_guard guard(lock_);
    const u32 count = frame_count() * kEntriesPerFrame;
    if (!domain_ || grant_ref.value() >= count) [[unlikely]]
        return {kInvalidMfn, domain_ ? Grant_status::bad_gntref : Grant_status::bad_domain};

    const u32 ref    = static_cast<u32>(clip_index(grant_ref.value(), count));
    Active& entry    = active(ref);
    const bool first = !entry.pinned();
    if (!first && (entry.user != user.value() || entry.readers >= kMaxPins || entry.writers >= kMaxPins))
        return {kInvalidMfn, Grant_status::general_error};

    grant_entry_v1& guest = *shared(ref);
    if (first || (write && entry.writers == 0)) {
        const Grant_status marked = mark_in_use(guest, user, write);
        if (marked != Grant_status::okay)
            return {kInvalidMfn, marked};
        if (first && !take_frame(entry, std::atomic_ref(guest.frame).load())) {
            clear_flags(guest, GTF_reading | GTF_writing);
            return {kInvalidMfn, Grant_status::bad_page};
        }
    }
    entry.user = user.value();
    ++(write ? entry.writers : entry.readers);
    return {entry.frame, Grant_status::okay};
}

Mfn Granted::hold_own(Gfn gfn, bool write)
{
    const Lock_guard guard(lock_);
    if (!domain_) [[unlikely]]
        return kInvalidMfn;
    const Mfn frame = domain_->p2m().ram_frame(gfn, own_);
    if (frames.get_from(frame, domain_->id())) [[likely]]
        return frame;
    const P2m_entry page = domain_->p2m().lookup(gfn);
    if (is_ram(page.type))
        return domain_->p2m().hold_own(gfn);
    const bool granted = page.type == P2m_type::grant_rw || (page.type == P2m_type::grant_ro && !write);
    return granted && frames.get(page.mfn) ? page.mfn : kInvalidMfn;
}

void Granted::unpin(Grant_ref grant_ref, bool write)
{
    const Lock_guard guard(lock_);
    Active& entry = active(grant_ref.value());
    --(write ? entry.writers : entry.readers);
    const u16 unused = static_cast<u16>((write && entry.writers == 0 ? GTF_writing : 0) |
                                        (entry.pinned() ? 0 : GTF_reading));
    if (unused == 0)
        return;
    if (domain_)
        clear_flags(*shared(grant_ref.value()), unused);
    if (write)
        frames.mark_written(entry.frame);
    if (!entry.pinned())
        frames.put(entry.frame);
}

Grant_status Granted::swap(Grant_ref a, Grant_ref b)
{
    const Lock_guard guard(lock_);
    const u32 count = frame_count() * kEntriesPerFrame;
    if (!domain_ || a.value() >= count || b.value() >= count)
        return Grant_status::bad_gntref;
    if (a == b)
        return Grant_status::okay;
    if (active(a.value()).pinned() || active(b.value()).pinned())
        return Grant_status::eagain;
    std::swap(*shared(a.value()), *shared(b.value()));
    return Grant_status::okay;
}

void Granted::retire()
{
    const Lock_guard guard(lock_);
    if (!std::exchange(domain_, nullptr))
        return;
    for (u32 i = 0; i < frame_count(); ++i)
        frames.release(slots_[i].shared, 0, nullptr);
}

} // namespace vmm
