// SPDX-License-Identifier: Apache-2.0
#pragma once
// A sign of life in regular intervals, from a thread of its own, as long as this object lives. It is for the
// time in which its owner works on something and says nothing by itself; once the destructor has returned no
// beat is under way any more.

#include "toolstack/base/error.hpp"

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace vmm::migrate
{

class Pulse
{
  public:
    // `beat` runs on the thread, for the first time after one interval; false ends it early.
    [[nodiscard]] static Result<std::unique_ptr<Pulse>> start(std::chrono::milliseconds interval,
                                                              std::function<bool()> beat);
    Pulse(const Pulse&)            = delete;
    Pulse& operator=(const Pulse&) = delete;
    ~Pulse();

    // As long as it is held, no beat is under way and none begins.
    [[nodiscard]] std::unique_lock<std::mutex> hold() { return std::unique_lock(mutex_); }

  private:
    Pulse(std::chrono::milliseconds interval, std::function<bool()> beat)
        : interval_(interval), beat_(std::move(beat))
    {
    }
    void run();

    std::chrono::milliseconds interval_;
    std::function<bool()> beat_;
    std::mutex mutex_; // held during a beat
    std::condition_variable stopping_;
    bool stop_ = false; // guarded by mutex_
    std::thread thread_;
};

} // namespace vmm::migrate
