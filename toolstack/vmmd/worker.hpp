// SPDX-License-Identifier: Apache-2.0
#pragma once
// One helper thread for work that takes long and needs no hypervisor: reading and unpacking kernels. Jobs run
// one after the other, in order; what each leaves to do happens on the event loop. The daemon's own state is
// never touched here.

#include "toolstack/base/error.hpp"
#include "toolstack/base/event_loop.hpp"
#include "toolstack/base/unique_fd.hpp"

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace vmm
{

class Worker
{
  public:
    using Work = std::function<void()>;

    [[nodiscard]] static Result<std::unique_ptr<Worker>> create(Event_loop& loop);
    Worker(const Worker&)            = delete;
    Worker& operator=(const Worker&) = delete;
    ~Worker(); // waits for the job under way; the others and all that is left to do are dropped

    // `work` runs on the thread, then `finish` on the loop.
    void submit(Work work, Work finish);

  private:
    struct Job {
        Work work;
        Work finish;
    };

    Worker(Event_loop& loop, Unique_fd wakeup) : loop_(loop), wakeup_(std::move(wakeup)) {}
    void run();
    void finish_jobs();

    Event_loop& loop_;
    Unique_fd wakeup_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Job> waiting_;   // guarded by mutex_
    std::deque<Work> finished_; // guarded by mutex_
    bool stopping_ = false;     // guarded by mutex_
    std::thread thread_;
};

} // namespace vmm
