// SPDX-License-Identifier: Apache-2.0
#pragma once
// The requests a backend has taken, as they stood in the ring, in memory that outlives the process if it is a
// file: an answer takes the place of a request, so a process that is killed between writing answers and
// showing them leaves a ring that its successor cannot read. With answers in the order of requests, the log
// has all that are not answered. [xen/include/public/io/ring.h]

#include "guest-drivers/protocol/block.hpp"
#include "toolstack/base/error.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

namespace vmm::block
{

class Request_log
{
  public:
    static constexpr std::size_t kQueues = 16;
    static constexpr std::size_t kSlots  = 512; // of a ring of 16 pages

    // Where one request is noted; `whole` is set last and cleared first.
    struct Entry {
        std::uint32_t number; // the ring's counter
        std::uint32_t whole;
        std::byte slot[sizeof(blkif_request)];
    };

    // Kept in this file, which is made if it is not there; one that is no log is begun anew. An empty name
    // means that nothing is to outlive the process.
    [[nodiscard]] static Result<Request_log> open(const std::string& file);
    Request_log(Request_log&& other) noexcept : entries_(std::exchange(other.entries_, nullptr)) {}
    Request_log& operator=(Request_log&&) = delete;
    ~Request_log();

    [[nodiscard]] std::span<Entry, kSlots> queue(std::size_t number)
    {
        return std::span<Entry, kSlots>(entries_ + number * kSlots, kSlots);
    }
    // A frontend connects anew: what was is over.
    void clear();

  private:
    explicit Request_log(Entry* entries) : entries_(entries) {}

    Entry* entries_;
};

} // namespace vmm::block
