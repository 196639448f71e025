// SPDX-License-Identifier: Apache-2.0
#include "debug/symbols.hpp"

#include <cstring>

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
    const u64 offset = address - reinterpret_cast<u64>(text_start);
    u32 low = 0, high = symbol_count; // the answer is below `high`
    while (high > low) {
        const u32 middle = low + (high - low) / 2;
        if (symbol_entries[middle][0] <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return {};
    const u32* found = symbol_entries[low - 1];
    return {symbol_names + found[1], offset - found[0]};
}

} // namespace vmm
