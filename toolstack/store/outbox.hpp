// SPDX-License-Identifier: Apache-2.0
#pragma once
// What is on its way to one client, in order: replies and watch events, already serialised. Bounded for
// clients that do not read: past its limits it takes no more events and tells that no more requests should be
// served.

#include "toolstack/store/store_image.hpp"
#include "toolstack/store/wire.hpp"

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_set>

namespace vmm::store
{

class Outbox
{
  public:
    struct Limits {
        std::size_t replies;
        std::size_t event_bytes;
    };

    explicit Outbox(Limits limits) : limits_(limits) {}

    void push_reply(const Message& reply);
    // An event equal to one still waiting is not queued twice, and one longer than a message may be is not
    // sent at all: nothing is to be done for either.
    enum class Pushed { queued, nothing, no_room };
    [[nodiscard]] Pushed push_event(std::string_view path, std::string_view token);
    // What a former process had queued, of whose first message `sent` bytes have left already.
    void restore(const std::deque<Saved_output>& output, std::size_t sent);
    [[nodiscard]] const std::deque<Saved_output>& entries() const { return entries_; }
    [[nodiscard]] std::size_t sent() const { return sent_; }

    [[nodiscard]] bool empty() const { return entries_.empty(); }
    [[nodiscard]] bool accepts_requests() const { return replies_ < limits_.replies; }
    [[nodiscard]] bool has_drained() const { return event_bytes_ * 2 <= limits_.event_bytes; }
    [[nodiscard]] std::string_view front() const
    {
        return std::string_view(entries_.front().bytes).substr(sent_);
    }
    void consume(std::size_t count); // count <= front().size()
    void clear();

  private:
    Limits limits_;
    std::deque<Saved_output> entries_;
    std::unordered_set<std::string_view> waiting_; // the bytes of the events that may be merged, in entries_
    std::size_t sent_        = 0;                  // bytes of the first entry
    std::size_t replies_     = 0;
    std::size_t event_bytes_ = 0;
};

} // namespace vmm::store
