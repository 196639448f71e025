// SPDX-License-Identifier: Apache-2.0
//
// The backend's end of a request/response ring (ring.hpp) in pages the frontend shares and may change at any
// moment: counters of this end are private, a request is copied out once, and a producer that claims more
// than the ring holds makes the ring broken for good. Slots are bytes here, since their layout depends on the
// frontend's ABI. The pages outlive the object. [xen/include/public/io/ring.h]
#pragma once

#include "protocol/ring.hpp"

#include <atomic>
#include <cstring>
#include <optional>
#include <span>

namespace vmm::protocol
{

class Back_ring
{
  public:
    // Goes on behind the responses the ring already holds: none in a new ring. What a predecessor took but
    // did not answer is therefore taken again.
    Back_ring(std::span<std::byte> pages, std::uint32_t slot_size)
        : head_(*reinterpret_cast<Ring_head*>(pages.data())), slots_(pages.data() + sizeof(Ring_head)),
          slot_size_(slot_size), count_(ring_slots(pages.size(), slot_size)),
          taken_(std::atomic_ref(head_.response_producer).load(std::memory_order_acquire)), answered_(taken_),
          published_(taken_)
    {
    }

    [[nodiscard]] std::uint32_t slots() const { return count_; }
    // The number of the next request.
    [[nodiscard]] std::uint32_t next() const { return taken_; }
    [[nodiscard]] std::uint32_t unanswered() const { return taken_ - answered_; }

    // Requests there and not yet taken; nothing if the frontend claims more than can be.
    [[nodiscard]] std::optional<std::uint32_t> waiting() const
    {
        const std::uint32_t producer =
            std::atomic_ref(head_.request_producer).load(std::memory_order_acquire);
        if (producer - answered_ > count_ || producer - answered_ < unanswered())
            return std::nullopt;
        return producer - taken_;
    }
    // Copies the next request out; only when some are waiting(). At most a slot is copied.
    void take(std::span<std::byte> to)
    {
        std::memcpy(to.data(), slot(taken_++), to.size() < slot_size_ ? to.size() : slot_size_);
        std::atomic_signal_fence(std::memory_order_seq_cst); // the copy is what is looked at from now on
    }
    // The next request is known already; only when some are waiting().
    void skip() { ++taken_; }
    // Only for a request that was taken. push() shows it.
    void answer(std::span<const std::byte> response)
    {
        std::memcpy(slot(answered_++), response.data(), response.size());
    }
    // Shows all answers. True when the frontend wants an event for them.
    [[nodiscard]] bool push()
    {
        const std::uint32_t old = published_;
        published_              = answered_;
        std::atomic_ref(head_.response_producer).store(published_, std::memory_order_release);
        std::atomic_thread_fence(std::memory_order_seq_cst);
        return published_ - std::atomic_ref(head_.response_event).load() < published_ - old;
    }
    // Asks for an event at the next request; true when there is something to look at already.
    [[nodiscard]] bool rearm()
    {
        std::atomic_ref(head_.request_event).store(taken_ + 1);
        std::atomic_thread_fence(std::memory_order_seq_cst);
        return std::atomic_ref(head_.request_producer).load(std::memory_order_acquire) != taken_;
    }

  private:
    [[nodiscard]] std::byte* slot(std::uint32_t counter) const
    {
        return slots_ + std::size_t{counter % count_} * slot_size_;
    }

    Ring_head& head_;
    std::byte* slots_;
    std::uint32_t slot_size_;
    std::uint32_t count_;
    std::uint32_t taken_;
    std::uint32_t answered_;
    std::uint32_t published_;
};

} // namespace vmm::protocol
