// SPDX-License-Identifier: Apache-2.0
#include "toolstack/migrate/pulse.hpp"

#include <utility>

namespace vmm::migrate
{

Pulse::Pulse(std::chrono::milliseconds interval, std::function<bool()> beat)
    : interval_(interval), beat_(std::move(beat)), thread_([this] { run(); })
{
}

Pulse::~Pulse()
{
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    stopping_.notify_one();
    thread_.join();
}

void Pulse::run()
{
    std::unique_lock lock(mutex_);
    while (!stopping_.wait_for(lock, interval_, [this] { return stop_; })) {
        lock.unlock();
        if (!beat_()) {
            return;
        }
        lock.lock();
    }
}

} // namespace vmm::migrate
