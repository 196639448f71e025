// SPDX-License-Identifier: Apache-2.0
#include "domu_stress/contract.hpp"

namespace vmm::stress
{

namespace
{

constexpr u64 kWords = guest::kPageSize / sizeof(u64);

}

void fill(void* page, const Contract& owner, u32 slot, bool back)
{
    for (u64 i = 0; i < kWords; ++i)
        static_cast<volatile u64*>(page)[i] = pattern(owner, slot, back, i);
}

bool holds(const void* page, const Contract& owner, u32 slot, bool back, const char* how)
{
    for (u64 i = 0; i < kWords; ++i) {
        const u64 found = static_cast<const volatile u64*>(page)[i];
        if (found == pattern(owner, slot, back, i))
            continue;
        fail("slot ", slot, " in round ", owner.slots[slot].round, ", ", how, ": word ", i, " is ",
             guest::hex(found), ", not ", guest::hex(pattern(owner, slot, back, i)));
        return false;
    }
    return true;
}

} // namespace vmm::stress
