// SPDX-License-Identifier: Apache-2.0
//
// The guest's side of a grant table for tests: entries are written as a guest writes them.
#pragma once

#include "world.hpp"

namespace vmm::test
{

inline grant_entry_v1& entry(Domain& d, u32 ref)
{
    return to_virtual<grant_entry_v1>(*d.grants().frame(ref / 512))[ref % 512];
}

inline void grant(Domain& d, u32 ref, Domid to, u32 gfn, u16 more_flags = 0)
{
    // As a guest does while others may look.
    std::atomic_ref(entry(d, ref).domid).store(to.value(), std::memory_order_relaxed);
    std::atomic_ref(entry(d, ref).frame).store(gfn, std::memory_order_relaxed);
    std::atomic_ref(entry(d, ref).flags)
        .store(static_cast<u16>(GTF_permit_access | more_flags), std::memory_order_release);
}

inline gnttab_map_grant_ref map(Domain& mapper, Domid granter, u32 ref, u64 gfn, u32 flags = GNTMAP_host_map)
{
    gnttab_map_grant_ref op{};
    op.host_addr = gfn << 12;
    op.flags     = flags;
    op.ref       = ref;
    op.dom       = granter.value();
    Named_domain named;
    op.status = static_cast<s16>(mapper.grants().map(op, named));
    return op;
}

inline s16 unmap(Domain& mapper, u32 handle, u64 gfn)
{
    gnttab_unmap_grant_ref op{};
    op.host_addr = gfn << 12;
    op.handle    = handle;
    mapper.grants().unmap({&op, 1});
    return op.status;
}

} // namespace vmm::test
