// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/outbox.hpp"

#include <xen/io/xs_wire.h>

namespace vmm::store
{

void Outbox::push_reply(const Message& reply)
{
    entries_.push_back({serialise(reply), false});
    ++replies_;
}

Outbox::Pushed Outbox::push_event(std::string_view path, std::string_view token)
{
    Message event{XS_WATCH_EVENT, 0, 0, join_strings({path, token})};
    if (event.payload.size() > kPayloadMax) {
        return Pushed::nothing;
    }
    std::string bytes    = serialise(event);
    const bool may_merge = !path.starts_with('@'); // special events are each told: clients may count them
    if (may_merge && waiting_.contains(bytes)) {
        return Pushed::nothing;
    }
    if (event_bytes_ + bytes.size() > limits_.event_bytes) {
        return Pushed::no_room;
    }
    event_bytes_ += bytes.size();
    entries_.push_back({std::move(bytes), true});
    if (may_merge) {
        waiting_.insert(entries_.back().bytes);
    }
    return Pushed::queued;
}

// Restored events are not merged with: at worst a client hears of something once more.
void Outbox::restore(const std::deque<Saved_output>& output, std::size_t sent)
{
    clear();
    entries_ = output;
    sent_    = sent;
    for (const Saved_output& entry : entries_) {
        event_bytes_ += entry.is_event ? entry.bytes.size() : 0;
        replies_ += entry.is_event ? 0 : 1;
    }
}

void Outbox::consume(std::size_t count)
{
    sent_ += count;
    const Saved_output& first = entries_.front();
    if (sent_ < first.bytes.size()) {
        return;
    }
    if (first.is_event) {
        event_bytes_ -= first.bytes.size();
        waiting_.erase(first.bytes); // a special event is not in it and equals none that is
    } else {
        --replies_;
    }
    entries_.pop_front();
    sent_ = 0;
}

void Outbox::clear()
{
    waiting_.clear();
    entries_.clear();
    sent_ = replies_ = event_bytes_ = 0;
}

} // namespace vmm::store
