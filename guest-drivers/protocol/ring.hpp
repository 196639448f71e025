// SPDX-License-Identifier: Apache-2.0
//
// What both ends of a request/response ring (block, net) agree on: one or more pages with four counters at
// their head and a power of two of slots, each a request first and its response later. The counters run
// freely; a slot is its counter modulo the number of slots. [xen/include/public/io/ring.h]
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace vmm::protocol
{

// The head of the first shared page, followed by the slots.
struct Ring_head {
    std::uint32_t request_producer;
    std::uint32_t request_event;
    std::uint32_t response_producer;
    std::uint32_t response_event;
    std::uint8_t reserved[48];
};
static_assert(sizeof(Ring_head) == 64);

// How many slots a ring of that many bytes has.
constexpr std::uint32_t ring_slots(std::size_t bytes, std::size_t slot_size)
{
    return static_cast<std::uint32_t>(std::bit_floor((bytes - sizeof(Ring_head)) / slot_size));
}

} // namespace vmm::protocol
