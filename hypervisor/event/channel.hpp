// SPDX-License-Identifier: Apache-2.0
//
// One event channel as the hypervisor keeps it, and the buckets in which a table holds them. A port is the
// index of its channel. Fields are guarded by the lock of the table that owns the channel, except those
// marked "delivery", which its delivery lock guards because senders touch them. Nothing here is visible to
// a guest.
#pragma once

#include "base/types.hpp"

#include <array>
#include <atomic>

#include <xen/event_channel.h>
#include <xen/xen.h>

namespace vmm
{

class Domain;

struct Channel {
    enum class State : u8 { free, reserved, unbound, interdomain, virq, ipi };

    State state       = State::free;
    u8 priority       = EVTCHN_FIFO_PRIORITY_DEFAULT; // delivery
    u8 last_priority  = 0;                            // delivery: the queue it was last linked on
    bool pending      = false;                        // delivery: raised before its event word existed
    u16 last_vcpu     = 0;                            // delivery: as last_priority
    u16 allowed_domid = 0;                            // unbound: who may connect
    u32 virq          = 0;                            // virq
    u32 remote_port   = 0;                            // interdomain
    Domain* remote    = nullptr;                      // interdomain: alive while the channel is connected
    std::atomic<u16> notify_vcpu{0};                  // read by senders of other domains

    [[nodiscard]] bool usable() const { return state > State::reserved; }
};

inline constexpr u32 kChannelsPerBucket = 128;
using Channel_bucket                    = std::array<Channel, kChannelsPerBucket>;

} // namespace vmm
