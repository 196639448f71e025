// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/worker.hpp"

#include "toolstack/base/start_thread.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <utility>

namespace vmm
{

Result<std::unique_ptr<Worker>> Worker::create(Event_loop& loop)
{
    Unique_fd wakeup(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wakeup) {
        return fail_errno("cannot make an eventfd");
    }
    std::unique_ptr<Worker> worker(new Worker(loop, std::move(wakeup)));
    TRY(loop.add(worker->wakeup_.get(), EPOLLIN,
                 [self = worker.get()](std::uint32_t) { self->finish_jobs(); }));
    // Signals are the loop's business: none may be delivered to this thread.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    auto thread = start_thread([self = worker.get()] { self->run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    worker->thread_ = TRY(std::move(thread));
    return worker;
}

Worker::~Worker()
{
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_one();
    if (thread_.joinable()) {
        thread_.join();
    }
    loop_.remove(wakeup_.get());
}

void Worker::submit(Work work, Work finish)
{
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back({std::move(work), std::move(finish)});
    }
    changed_.notify_one();
}

void Worker::run()
{
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        if (stopping_) {
            return;
        }
        Job job = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        job.work();
        lock.lock();
        finished_.push_back(std::move(job.finish));
        const std::uint64_t one = 1;
        static_cast<void>(::write(wakeup_.get(), &one, sizeof one)); // full means readable already
    }
}

void Worker::finish_jobs()
{
    std::uint64_t count = 0;
    static_cast<void>(::read(wakeup_.get(), &count, sizeof count));
    std::deque<Work> ready;
    {
        const std::lock_guard lock(mutex_);
        ready.swap(finished_);
    }
    for (Work& finish : ready) {
        finish();
    }
}

} // namespace vmm
