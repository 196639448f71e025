// SPDX-License-Identifier: Apache-2.0
#pragma once
// A sign of life in regular intervals, from a thread of its own, as long as this object lives. It is for the
// time in which its owner works on something and says nothing by itself; once the destructor has returned no
// beat is under way any more.

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace vmm::migrate
{

class Pulse
{
  public:
    // `beat` runs on the thread, for the first time after one interval; false ends it early.
    Pulse(std::chrono::milliseconds interval, std::function<bool()> beat);
    Pulse(const Pulse&)            = delete;
    Pulse& operator=(const Pulse&) = delete;
    ~Pulse();

  private:
    void run();

    std::chrono::milliseconds interval_;
    std::function<bool()> beat_;
    std::mutex mutex_;
    std::condition_variable stopping_;
    bool stop_ = false; // guarded by mutex_
    std::thread thread_;
};

} // namespace vmm::migrate
