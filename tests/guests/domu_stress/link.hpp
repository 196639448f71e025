// SPDX-License-Identifier: Apache-2.0
//
// The link of two peers as peer.cpp uses it: their contracts, ports and pages. Made and unmade by the first
// vCPU while no other is inside (Worker::visits); the pages are this domain's own.
#pragma once

#include "domu_stress/contract.hpp"

#include <xen/event_channel.h>
#include <xen/grant_table.h>

namespace vmm::stress::peer
{

inline constexpr u32 kContractRef = GNTTAB_NR_RESERVED_ENTRIES;

struct Link {
    std::atomic<bool> up{false};
    bool mortal                                      = false;
    domid_t peer                                     = 0;
    Contract* theirs                                 = nullptr;
    u32 handle                                       = 0;  // of its mapping
    evtchn_port_t ports_there[guest::kMaxProcessors] = {}; // here, for sending to theirs
    u64 since[guest::kMaxProcessors]                 = {}; // the sender's life when it sent the last

    [[nodiscard]] Contract& mine();
    [[nodiscard]] guest::Page& page(u32 slot);
};
extern Link the_link;

// Two references a slot, by turns.
constexpr u32 reference_of(u32 slot, u64 round)
{
    return kContractRef + 8 + 2 * slot + static_cast<u32>(round % 2);
}
// Guest-physical addresses without memory: for the slots' mappings.
u64 window_address(u32 window);

} // namespace vmm::stress::peer
