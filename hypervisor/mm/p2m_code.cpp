// SPDX-License-Identifier: Apache-2.0
//
// Where a domain may execute from, on a CPU that is stopped for good by code whose translation changes its
// size (P2m::small_code). Large mappings are data there; the first fetch from one makes all of its region
// small. Not so for dom0: it can stop the machine anyhow, and is not to depend on free memory to go on.
#include "mm/p2m.hpp"

namespace vmm
{

Expected<void> P2m::permit_execute(Gfn gfn)
{
    if (executes_large())
        return {};
    const Lock_guard guard(lock_);
    const auto at = TRY(split_down(gfn, 1));
    if (at.level > 1)
        return {}; // nothing is there
    const u64 bits  = Nested_format::places.executable;
    const Hpa first = Table::table_of(at);
    for (unsigned i = 0; i < kEntriesPerTable; ++i) {
        const Hpa place = first + i * sizeof(u64);
        const u64 entry = Direct_memory::read(place);
        if (!Nested_format::present(entry) || Nested_format::is_executable(entry))
            continue;
        if (Nested_format::places.bare & bits)
            Direct_memory::clear(place, bits);
        else
            Direct_memory::set(place, bits);
    }
    return {};
}

} // namespace vmm
