// SPDX-License-Identifier: Apache-2.0
#include "toolstack/migrate/pulse.hpp"

#include "toolstack/base/start_thread.hpp"

#include <utility>

namespace vmm::migrate
{

Result<std::unique_ptr<Pulse>> Pulse::start(std::chrono::milliseconds interval, std::function<bool()> beat)
{
    std::unique_ptr<Pulse> pulse(new Pulse(interval, std::move(beat)));
    pulse->thread_ = TRY(start_thread([self = pulse.get()] { self->run(); }));
    return pulse;
}

Pulse::~Pulse()
{
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    stopping_.notify_one();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void Pulse::run()
{
    std::unique_lock lock(mutex_);
    while (!stopping_.wait_for(lock, interval_, [this] { return stop_; })) {
        if (!beat_()) {
            return;
        }
    }
}

} // namespace vmm::migrate
