// SPDX-License-Identifier: Apache-2.0
#include "debug/symbols.hpp"

#include <algorithm>

extern "C" {
extern const char text_start[], text_used_end[];
// Count; pairs of {offset from text_start, offset of the name from symbol_names}, ascending; names.
extern const vmm::u32 symbol_count;
extern const vmm::u32 symbol_entries[][2];
extern const char symbol_names[];
}

namespace vmm
{

bool is_code_address(u64 address)
{
    return address >= reinterpret_cast<u64>(text_start) && address < reinterpret_cast<u64>(text_used_end);
}

Symbol find_symbol(u64 address)
{
    if (!is_code_address(address))
        return {};
    const u64 offset  = address - reinterpret_cast<u64>(text_start);
    const auto* after = std::upper_bound(symbol_entries, symbol_entries + symbol_count, offset,
                                         [](u64 at, const u32(&entry)[2]) { return at < entry[0]; });
    if (after == symbol_entries)
        return {};
    const u32* found = *(after - 1);
    return {symbol_names + found[1], offset - found[0]};
}

} // namespace vmm
