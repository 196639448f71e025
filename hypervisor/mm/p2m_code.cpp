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
    auto at = Table::place(to_hpa(root_), gfn.value());
    for (; at.level > 1; at = Table::place(to_hpa(root_), gfn.value())) {
        if (!Nested_format::present(at.entry))
            return {};
        const auto type         = static_cast<P2m_type>(Nested_format::kind(at.entry));
        const u64 tables_before = tables_.used;
        forgotten(TRY(table().split(at)), at.level, tables_before);
        if (at.level == 2 && type == P2m_type::ram_common)
            use_promised_table();
    }
    const u64 bits = Nested_format::places.executable;
    const Hpa first(align_down(at.at.value(), kPageSize));
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
