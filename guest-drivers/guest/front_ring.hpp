// SPDX-License-Identifier: Apache-2.0
//
// The frontend's end of a request/response ring (block, net): a page with four counters and a power of two
// of slots, each a request first and its response later. Private counters decide; what the backend writes
// is bounded before it is used. [xen/include/public/io/ring.h]
#pragma once

#include "guest/types.hpp"

#include <atomic>

namespace vmm::guest
{

// The head of the shared page, followed by the slots.
struct Ring_head {
    u32 request_producer;
    u32 request_event;
    u32 response_producer;
    u32 response_event;
    u8 reserved[48];
};
static_assert(sizeof(Ring_head) == 64);

template <class Request, class Response>
class Front_ring
{
  public:
    union Slot {
        Request request;
        Response response;
    };
    static constexpr u32 round_down(u64 n) { return 1u << (63 - __builtin_clzll(n)); }
    static constexpr u32 kSlots = round_down((kPageSize - sizeof(Ring_head)) / sizeof(Slot));

    explicit Front_ring(Page& page) : head_(*page.as<Ring_head>()), slots_(page.as<Slot>(sizeof(Ring_head)))
    {
        head_                = {};
        head_.request_event  = 1;
        head_.response_event = 1;
    }

    [[nodiscard]] bool full() const { return produced_ - consumed_ == kSlots; }
    // The next free request; not full().
    Request& next() { return slots_[produced_++ % kSlots].request; }
    // Makes the new requests visible. True when the backend wants an event for them.
    [[nodiscard]] bool push()
    {
        const u32 old = published_;
        published_    = produced_;
        std::atomic_ref(head_.request_producer).store(published_, std::memory_order_release);
        std::atomic_thread_fence(std::memory_order_seq_cst);
        return published_ - std::atomic_ref(head_.request_event).load() < published_ - old;
    }
    // Takes one response; false when there is none.
    bool take(Response& to)
    {
        const u32 ready =
            std::atomic_ref(head_.response_producer).load(std::memory_order_acquire) - consumed_;
        if (ready == 0 || ready > published_ - consumed_)
            return false;
        __builtin_memcpy(&to, &slots_[consumed_++ % kSlots].response, sizeof to);
        return true;
    }
    // Asks for an event at the next response; true when one is there already.
    bool rearm()
    {
        std::atomic_ref(head_.response_event).store(consumed_ + 1);
        std::atomic_thread_fence(std::memory_order_seq_cst);
        return std::atomic_ref(head_.response_producer).load(std::memory_order_acquire) != consumed_;
    }

  private:
    Ring_head& head_;
    Slot* slots_;
    u32 produced_  = 0;
    u32 published_ = 0;
    u32 consumed_  = 0;
};

} // namespace vmm::guest
