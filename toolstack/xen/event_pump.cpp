// SPDX-License-Identifier: Apache-2.0
#include "toolstack/xen/event_pump.hpp"

#include <sys/epoll.h>

namespace vmm
{

namespace
{

constexpr unsigned kMostAtOnce = 256; // before others on the loop get their turn

} // namespace

Result<void> Event_pump::start(int fd)
{
    return loop_.add(fd, EPOLLIN, [this](std::uint32_t) {
        dispatch_();
        look_again_later();
    });
}

// Until the driver has none left, so that it wakes again.
void Event_pump::look_again_later()
{
    if (will_look_) {
        return;
    }
    will_look_ = true;
    timer_     = loop_.after(kLookAgain, [this] {
        will_look_ = false;
        for (unsigned left = kMostAtOnce; left > 0 && dispatch_(); --left) {
            look_again_later();
        }
    });
}

} // namespace vmm
