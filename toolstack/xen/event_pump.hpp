// SPDX-License-Identifier: Apache-2.0
#pragma once
// Events from Linux' /dev/xen/evtchn on an event loop, none of which is lost.
//
// The driver wakes who waits for its descriptor only when its ring was empty. Its interrupt handler looks
// where the reader is, then writes the event: when the reader, on another CPU, takes the last one in between
// and goes to sleep, it finds nothing, nobody is woken, and nobody is ever again, for the ring is not empty
// from then on. So some time after events there is one more look without being told. Where nothing happens,
// nothing is looked for.

#include "toolstack/base/event_loop.hpp"

namespace vmm
{

class Event_pump
{
  public:
    static constexpr std::chrono::milliseconds kLookAgain{500};

    // `dispatch` serves one event, and is false when there was none.
    Event_pump(Event_loop& loop, std::function<bool()> dispatch) : loop_(loop), dispatch_(std::move(dispatch))
    {
    }
    ~Event_pump() { loop_.cancel(timer_); }
    Event_pump(const Event_pump&)            = delete;
    Event_pump& operator=(const Event_pump&) = delete;

    // Serves the events of this descriptor from now on.
    [[nodiscard]] Result<void> start(int fd);

  private:
    void look_again_later();

    Event_loop& loop_;
    std::function<bool()> dispatch_;
    Event_loop::Timer_id timer_{};
    bool will_look_ = false;
};

} // namespace vmm
