// SPDX-License-Identifier: Apache-2.0
#include "toolstack/store/outbox.hpp"

#include <xen/io/xs_wire.h>

#include <algorithm>

namespace vmm::store {

void Outbox::push_reply(const Message& reply)
{
    entries_.push_back({serialise(reply), false});
    ++replies_;
}

bool Outbox::is_waiting(const std::string& bytes) const
{
    return std::ranges::any_of(entries_, [&](const Entry& e) { return e.is_event && e.bytes == bytes; });
}

bool Outbox::push_event(std::string_view path, std::string_view token)
{
    Message event{XS_WATCH_EVENT, 0, 0, join_strings({path, token})};
    if (event.payload.size() > kPayloadMax) {
        return true;
    }
    std::string bytes = serialise(event);
    // Special events are not merged: clients may count them.
    if (!path.starts_with('@') && is_waiting(bytes)) {
        return true;
    }
    if (event_bytes_ + bytes.size() > limits_.event_bytes) {
        return false;
    }
    event_bytes_ += bytes.size();
    entries_.push_back({std::move(bytes), true});
    return true;
}

void Outbox::consume(std::size_t count)
{
    sent_ += count;
    const Entry& first = entries_.front();
    if (sent_ < first.bytes.size()) {
        return;
    }
    if (first.is_event) {
        event_bytes_ -= first.bytes.size();
    } else {
        --replies_;
    }
    entries_.pop_front();
    sent_ = 0;
}

void Outbox::clear()
{
    entries_.clear();
    sent_ = replies_ = event_bytes_ = 0;
}

} // namespace vmm::store
