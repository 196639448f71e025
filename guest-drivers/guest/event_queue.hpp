// SPDX-License-Identifier: Apache-2.0
//
// Watch events that wait for somebody to take them, in a fixed amount of memory: each is the path that
// changed and the token of the watch. What does not fit is dropped and said once, as an event without path
// and token: whoever takes it looks at everything it watches.
#pragma once

#include "guest/types.hpp"

#include <string_view>

namespace vmm::guest
{

struct Watch_event {
    std::string_view path;
    std::string_view token;
};

class Event_queue
{
  public:
    static constexpr u32 kSize = 8192;

    // The payload of XS_WATCH_EVENT: "path\0token\0". One of another form is dropped as well.
    void put(std::string_view payload)
    {
        const u64 middle = payload.find('\0');
        if (middle == std::string_view::npos || payload.find('\0', middle + 1) != payload.size() - 1 ||
            payload.size() > kSize - used_)
            lost_ = true;
        else
            used_ += static_cast<u32>(payload.copy(bytes_ + used_, payload.size()));
    }
    // The oldest event; false when there is none. Its text is good until the next call of this object.
    bool take(Watch_event& to)
    {
        __builtin_memmove(bytes_, bytes_ + taken_, used_ - taken_);
        used_ -= taken_;
        taken_ = 0;
        if (used_ == 0) {
            to           = {};
            const bool l = lost_;
            lost_        = false;
            return l;
        }
        to.path  = bytes_;
        to.token = bytes_ + to.path.size() + 1;
        taken_   = static_cast<u32>(to.path.size() + to.token.size() + 2);
        return true;
    }

  private:
    char bytes_[kSize];
    u32 used_  = 0;
    u32 taken_ = 0; // the event given out last
    bool lost_ = false;
};

} // namespace vmm::guest
