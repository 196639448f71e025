// SPDX-License-Identifier: Apache-2.0
//
// Granting own pages (version 1 entries) and using pages others granted. The pages of grant entries
// are special pages (platform.hpp). References below 8 are the toolstack's.
#pragma once

#include "guest/types.hpp"

#include <xen/grant_table.h>
#include <xen/xen.h>

namespace vmm::guest::grants
{

inline constexpr u32 kFrames   = 2;
inline constexpr u32 kFirstOwn = GNTTAB_NR_RESERVED_ENTRIES;
inline constexpr u32 kEntries  = kFrames * kPageSize / sizeof(grant_entry_v1);

// Makes the grant entries visible; negative errno.
s64 start();
[[nodiscard]] grant_entry_v1& entry(grant_ref_t ref);

// References for who does not want to choose: start() makes all above the toolstack's free. 0: none is left.
[[nodiscard]] grant_ref_t take();
void give(grant_ref_t ref);

// Lets `to` use the page; the reference stays the caller's to choose.
void allow(grant_ref_t ref, domid_t to, u64 gfn, bool writable);
// Takes the grant back. False while it is in use: try again later.
[[nodiscard]] bool revoke(grant_ref_t ref);

// A reference of the pool that is taken and granted, or 0.
[[nodiscard]] grant_ref_t share(domid_t to, const void* page, bool writable);
// The opposite. False, and nothing changes, while it is in use. `ref` becomes 0; it may be 0 already.
[[nodiscard]] bool unshare(grant_ref_t& ref);

// One mapping at gpa; GNTST_* in the structure.
gnttab_map_grant_ref map(domid_t granter, grant_ref_t ref, u64 gpa, bool writable);
s16 unmap(grant_handle_t handle, u64 gpa);

} // namespace vmm::guest::grants
