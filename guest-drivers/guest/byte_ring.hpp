// SPDX-License-Identifier: Apache-2.0
//
// The byte ring under the console and the store: a power-of-two buffer with free-running counters, one
// writer and one reader. The other end is not trusted: counters that make no sense mean "nothing there",
// never a copy out of bounds. One object is one direction seen from one end.
// [xen/include/public/io/console.h, io/xs_wire.h]
#pragma once

#include "guest/types.hpp"

#include <atomic>

namespace vmm::guest
{

class Byte_ring
{
  public:
    Byte_ring(char* buffer, u32 size, u32& consumer, u32& producer)
        : buffer_(buffer), size_(size), consumer_(consumer), producer_(producer)
    {
    }

    // Bytes moved; 0 when the ring is full (empty).
    u32 write(const char* from, u32 count)
    {
        const u32 used = filled();
        const u32 at   = std::atomic_ref(producer_).load(std::memory_order_relaxed);
        const u32 free = used <= size_ ? size_ - used : 0;
        const u32 done = count < free ? count : free;
        for (u32 i = 0; i < done; ++i)
            buffer_[(at + i) % size_] = from[i];
        std::atomic_ref(producer_).store(at + done, std::memory_order_release);
        return done;
    }
    u32 read(char* to, u32 count)
    {
        const u32 used = filled();
        const u32 at   = std::atomic_ref(consumer_).load(std::memory_order_relaxed);
        const u32 have = used <= size_ ? used : 0;
        const u32 done = count < have ? count : have;
        for (u32 i = 0; i < done; ++i)
            to[i] = buffer_[(at + i) % size_];
        std::atomic_ref(consumer_).store(at + done, std::memory_order_release);
        return done;
    }
    [[nodiscard]] bool readable() const { return filled() - 1 < size_; }

  private:
    [[nodiscard]] u32 filled() const
    {
        return std::atomic_ref(producer_).load(std::memory_order_acquire) -
               std::atomic_ref(consumer_).load(std::memory_order_acquire);
    }

    char* buffer_;
    u32 size_;
    u32& consumer_;
    u32& producer_;
};

} // namespace vmm::guest
