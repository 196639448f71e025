// SPDX-License-Identifier: Apache-2.0
#include "guest/grants.hpp"

#include "guest/hypercall.hpp"
#include "guest/platform.hpp"

#include <atomic>

namespace vmm::guest::grants
{

namespace
{

constexpr u32 kFirstSpecialPage = 1;
static_assert(kFirstSpecialPage + kFrames <= kSpecialPages);

// The references nobody has, as a stack.
u16 free_refs[kEntries];
u32 free_count = 0;

} // namespace

s64 start()
{
    for (u32 i = 0; i < kFrames; ++i) {
        xen_add_to_physmap place{};
        place.domid = DOMID_SELF;
        place.space = XENMAPSPACE_grant_table;
        place.idx   = i;
        place.gpfn  = gfn_of(&special_page(kFirstSpecialPage + i));
        if (const s64 rc = memory_op(XENMEM_add_to_physmap, &place); rc < 0)
            return rc;
    }
    free_count = 0;
    for (u32 ref = kEntries; ref-- > kFirstOwn;)
        free_refs[free_count++] = static_cast<u16>(ref);
    return 0;
}

grant_ref_t take() { return free_count == 0 ? 0 : free_refs[--free_count]; }
void give(grant_ref_t ref) { free_refs[free_count++] = static_cast<u16>(ref); }

grant_ref_t share(domid_t to, const void* page, bool writable)
{
    const grant_ref_t ref = take();
    if (ref != 0)
        allow(ref, to, gfn_of(page), writable);
    return ref;
}

bool unshare(grant_ref_t& ref)
{
    if (ref == 0)
        return true;
    if (!revoke(ref))
        return false;
    give(ref);
    ref = 0;
    return true;
}

grant_entry_v1& entry(grant_ref_t ref)
{
    return *special_page(kFirstSpecialPage).as<grant_entry_v1>(ref * sizeof(grant_entry_v1));
}

// The flags are what makes it valid, so they come last.
void allow(grant_ref_t ref, domid_t to, u64 gfn, bool writable)
{
    grant_entry_v1& slot = entry(ref);
    slot.domid           = to;
    slot.frame           = static_cast<u32>(gfn);
    std::atomic_ref(slot.flags).store(static_cast<u16>(GTF_permit_access | (writable ? 0 : GTF_readonly)));
}

bool revoke(grant_ref_t ref)
{
    const std::atomic_ref flags(entry(ref).flags);
    u16 seen = flags.load();
    do {
        if (seen & (GTF_reading | GTF_writing))
            return false;
    } while (!flags.compare_exchange_weak(seen, 0));
    return true;
}

gnttab_map_grant_ref map(domid_t granter, grant_ref_t ref, u64 gpa, bool writable)
{
    gnttab_map_grant_ref op{};
    op.host_addr = gpa;
    op.flags     = GNTMAP_host_map | (writable ? 0 : GNTMAP_readonly);
    op.ref       = ref;
    op.dom       = granter;
    if (const s64 rc = grant_op(GNTTABOP_map_grant_ref, &op, 1); rc != 0)
        op.status = GNTST_general_error;
    return op;
}

s16 unmap(grant_handle_t handle, u64 gpa)
{
    gnttab_unmap_grant_ref op{};
    op.host_addr = gpa;
    op.handle    = handle;
    const s64 rc = grant_op(GNTTABOP_unmap_grant_ref, &op, 1);
    return rc == 0 ? op.status : s16{GNTST_general_error};
}

} // namespace vmm::guest::grants
