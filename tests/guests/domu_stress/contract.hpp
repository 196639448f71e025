// SPDX-License-Identifier: Apache-2.0
//
// The page that each of two peers shows the other, and how the pages are filled that they hand to and fro.
// Each member has one writer: the owner of the contract, but for Slot::turn, whose writer is whose turn it
// is.
#pragma once

#include "domu_stress/worker.hpp"

namespace vmm::stress
{

inline constexpr u32 kSlots = 8;

enum class Turn : u32 { owner, visitor };

struct Slot {
    std::atomic<Turn> turn;
    u32 ref;
    u64 round;
};

struct Contract {
    u64 salt;     // makes the owner's patterns its own
    u32 channels; // how many of `ports` there are
    u32 ports[guest::kMaxProcessors];
    std::atomic<u32> settled;
    std::atomic<u64> sent[guest::kMaxProcessors];  // by the owner, to the other's ports
    std::atomic<u64> heard[guest::kMaxProcessors]; // by the owner, on its own
    Slot slots[kSlots];
};
static_assert(sizeof(Contract) <= guest::kPageSize);

// The word at `index` of a page that `owner` handed out in slot `slot`, or that came back.
constexpr u64 pattern(const Contract& owner, u32 slot, bool back, u64 index)
{
    const u64 seed = owner.salt + owner.slots[slot].round * 0x10001 + slot * 2 + (back ? 1 : 0);
    return (seed * 0x9e3779b97f4a7c15 + index) * 0xd1342543de82ef95;
}
void fill(void* page, const Contract& owner, u32 slot, bool back);
// True if it holds; else the trouble is told, with `how` the page was reached.
bool holds(const void* page, const Contract& owner, u32 slot, bool back, const char* how);

} // namespace vmm::stress
