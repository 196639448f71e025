// SPDX-License-Identifier: Apache-2.0
//
// The frontend's end of a request/response ring (ring.hpp) in pages of its own. Private counters decide; what
// the backend writes is bounded before it is used. The pages outlive the object.
// [xen/include/public/io/ring.h]
#pragma once

#include "protocol/ring.hpp"

#include <atomic>
#include <cstring>

namespace vmm::protocol
{

template <class Request, class Response>
class Front_ring
{
  public:
    union Slot {
        Request request;
        Response response;
    };

    // `memory` is `bytes` long, a power of two of pages, aligned to pages.
    Front_ring(void* memory, std::size_t bytes)
        : head_(*static_cast<Ring_head*>(memory)),
          slots_(reinterpret_cast<Slot*>(static_cast<std::byte*>(memory) + sizeof(Ring_head))),
          count_(ring_slots(bytes, sizeof(Slot)))
    {
        head_                = {};
        head_.request_event  = 1;
        head_.response_event = 1;
    }

    [[nodiscard]] std::uint32_t slots() const { return count_; }
    [[nodiscard]] bool full() const { return produced_ - consumed_ == count_; }
    // The next free request; not full().
    Request& next() { return slots_[produced_++ % count_].request; }
    // Makes the new requests visible. True when the backend wants an event for them.
    [[nodiscard]] bool push()
    {
        const std::uint32_t old = published_;
        published_              = produced_;
        std::atomic_ref(head_.request_producer).store(published_, std::memory_order_release);
        std::atomic_thread_fence(std::memory_order_seq_cst);
        return published_ - std::atomic_ref(head_.request_event).load() < published_ - old;
    }
    // Takes one response; false when there is none, or broken().
    bool take(Response& to)
    {
        if (!readable())
            return false;
        std::memcpy(&to, &slots_[consumed_++ % count_].response, sizeof to);
        return true;
    }
    [[nodiscard]] bool readable() const { return answered() - 1 < published_ - consumed_; }
    // The backend claims to have answered what nobody asked: nothing it says can be believed any more.
    [[nodiscard]] bool broken() const { return answered() > published_ - consumed_; }
    // Asks for an event at the next response; true when one is there already.
    bool rearm()
    {
        std::atomic_ref(head_.response_event).store(consumed_ + 1);
        std::atomic_thread_fence(std::memory_order_seq_cst);
        return readable();
    }

  private:
    [[nodiscard]] std::uint32_t answered() const
    {
        return std::atomic_ref(head_.response_producer).load(std::memory_order_acquire) - consumed_;
    }

    Ring_head& head_;
    Slot* slots_;
    std::uint32_t count_;
    std::uint32_t produced_  = 0;
    std::uint32_t published_ = 0;
    std::uint32_t consumed_  = 0;
};

} // namespace vmm::protocol
