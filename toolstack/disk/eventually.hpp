// SPDX-License-Identifier: Apache-2.0
#pragma once
// Waits for something the kernel does in its own time and announces nowhere: asks again at short intervals
// until it is so or the patience has run out, then says which, once, from the event loop.

#include "toolstack/base/event_loop.hpp"

#include <functional>
#include <memory>
#include <utility>

namespace vmm::disk
{

inline constexpr auto kAsk_again = std::chrono::milliseconds(10);

inline void eventually(Event_loop& loop, Event_loop::Duration patience, std::function<bool()> is_so,
                       std::function<void(bool)> done)
{
    struct Waiting {
        Event_loop& loop;
        Event_loop::Clock::time_point end;
        std::function<bool()> is_so;
        std::function<void(bool)> done;

        static void ask(const std::shared_ptr<Waiting>& self)
        {
            const bool now = self->is_so();
            if (now || Event_loop::Clock::now() >= self->end) {
                self->done(now);
                return;
            }
            self->loop.after(kAsk_again, [self] { ask(self); });
        }
    };
    auto waiting = std::make_shared<Waiting>(
        Waiting{loop, Event_loop::Clock::now() + patience, std::move(is_so), std::move(done)});
    loop.defer([waiting] { Waiting::ask(waiting); });
}

} // namespace vmm::disk
