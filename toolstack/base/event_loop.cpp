// SPDX-License-Identifier: Apache-2.0
#include "toolstack/base/event_loop.hpp"

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string>

namespace vmm
{
namespace
{

constexpr std::size_t kEventsPerTurn = 64;

} // namespace

Result<std::unique_ptr<Event_loop>> Event_loop::create()
{
    Unique_fd epoll(epoll_create1(EPOLL_CLOEXEC));
    if (!epoll) {
        return fail_errno("epoll_create1");
    }
    return std::unique_ptr<Event_loop>(new Event_loop(std::move(epoll)));
}

Event_loop::~Event_loop() = default;

Result<void> Event_loop::add(int fd, std::uint32_t events, Fd_callback callback)
{
    if (handler_of_fd_.contains(fd)) {
        return fail(Errc::exists, "descriptor " + std::to_string(fd) + " is already in the event loop");
    }
    const std::uint64_t id = next_id_++;
    epoll_event event{};
    event.events   = events;
    event.data.u64 = id;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
        return fail_errno("watch descriptor " + std::to_string(fd));
    }
    handlers_.emplace(id, std::make_shared<Handler>(Handler{id, fd, std::move(callback)}));
    handler_of_fd_.emplace(fd, id);
    return {};
}

Result<void> Event_loop::modify(int fd, std::uint32_t events)
{
    const auto found = handler_of_fd_.find(fd);
    if (found == handler_of_fd_.end()) {
        return fail(Errc::not_found, "descriptor " + std::to_string(fd) + " is not in the event loop");
    }
    epoll_event event{};
    event.events   = events;
    event.data.u64 = found->second;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) {
        return fail_errno("change watched events of descriptor " + std::to_string(fd));
    }
    return {};
}

void Event_loop::remove(int fd)
{
    const auto found = handler_of_fd_.find(fd);
    if (found == handler_of_fd_.end()) {
        return;
    }
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    handlers_.erase(found->second);
    handler_of_fd_.erase(found);
}

Event_loop::Timer_id Event_loop::start_timer(Duration delay, Duration period, Callback callback)
{
    const std::uint64_t id      = next_id_++;
    const Clock::time_point due = Clock::now() + delay;
    timers_.emplace(id, std::make_shared<Timer>(Timer{period, due, std::move(callback)}));
    due_.emplace(Due_key{due, id}, id);
    return Timer_id(id);
}

Event_loop::Timer_id Event_loop::after(Duration delay, Callback callback)
{
    return start_timer(delay, Duration::zero(), std::move(callback));
}

Event_loop::Timer_id Event_loop::every(Duration period, Callback callback)
{
    const Duration at_least_one_tick = std::max(period, Duration(std::chrono::milliseconds(1)));
    return start_timer(at_least_one_tick, at_least_one_tick, std::move(callback));
}

void Event_loop::cancel(Timer_id id)
{
    const auto found = timers_.find(static_cast<std::uint64_t>(id));
    if (found != timers_.end()) {
        due_.erase(Due_key{found->second->due, found->first});
        timers_.erase(found);
    }
}

void Event_loop::defer(Callback callback) { deferred_.push_back(std::move(callback)); }

Result<void> Event_loop::on_signals(std::initializer_list<int> signals, const Signal_callback& callback)
{
    for (const int number : signals) {
        signal_callbacks_[number] = callback;
    }
    sigset_t set;
    sigemptyset(&set);
    for (const auto& entry : signal_callbacks_) {
        sigaddset(&set, entry.first);
    }
    if (const int error = pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0) {
        return fail_errno("block signals", error);
    }
    const bool first = !signal_fd_;
    const int fd     = signalfd(signal_fd_.get(), &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        return fail_errno("signalfd");
    }
    if (!first) {
        return {};
    }
    signal_fd_.reset(fd);
    return add(fd, EPOLLIN, [this](std::uint32_t) { read_signals(); });
}

void Event_loop::read_signals()
{
    signalfd_siginfo info{};
    while (::read(signal_fd_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        const auto found = signal_callbacks_.find(static_cast<int>(info.ssi_signo));
        if (found != signal_callbacks_.end()) {
            const Signal_callback callback = found->second;
            callback(static_cast<int>(info.ssi_signo));
        }
    }
}

Result<void> Event_loop::on_child_exit(pid_t child, Exit_callback callback)
{
    Unique_fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
    if (!pidfd) {
        return fail_errno("watch child process " + std::to_string(child));
    }
    TRY(add(pidfd.get(), EPOLLIN, [this, child](std::uint32_t) { reap(child); }));
    children_[child] = Child{std::move(pidfd), std::move(callback)};
    return {};
}

void Event_loop::forget_child(pid_t child)
{
    const auto found = children_.find(child);
    if (found != children_.end()) {
        remove(found->second.pidfd.get());
        children_.erase(found);
    }
}

void Event_loop::reap(pid_t child)
{
    int status         = 0;
    const pid_t reaped = waitpid(child, &status, WNOHANG);
    const auto found   = children_.find(child);
    if (reaped == 0 || found == children_.end()) {
        return;
    }
    const Exit_callback callback = std::move(found->second.callback);
    forget_child(child);
    callback(status);
}

int Event_loop::wait_milliseconds(Duration limit) const
{
    Duration wait = limit;
    if (!deferred_.empty() || stopped_) {
        wait = Duration::zero();
    } else if (!due_.empty()) {
        const Duration until_due =
            std::max(Duration::zero(), Duration(due_.begin()->first.first - Clock::now()));
        wait = limit < Duration::zero() ? until_due : std::min(limit, until_due);
    }
    if (wait < Duration::zero()) {
        return -1;
    }
    const auto rounded_up = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
    return static_cast<int>(std::min<std::int64_t>(rounded_up, std::numeric_limits<int>::max()));
}

// Takes the timers due at entry only: one that re-arms itself with no delay cannot keep the loop from its
// descriptors.
void Event_loop::run_due_timers()
{
    const Clock::time_point now      = Clock::now();
    const std::uint64_t first_new_id = next_id_;
    while (!due_.empty() && due_.begin()->first.first <= now && due_.begin()->second < first_new_id) {
        const std::uint64_t id = due_.begin()->second;
        due_.erase(due_.begin());
        const std::shared_ptr<Timer> timer = timers_.at(id);
        if (timer->period == Duration::zero()) {
            timers_.erase(id);
        } else {
            timer->due = std::max(timer->due + timer->period, now + Duration(1));
            due_.emplace(Due_key{timer->due, id}, id);
        }
        timer->callback();
    }
}

void Event_loop::run_deferred()
{
    std::vector<Callback> batch;
    batch.swap(deferred_);
    for (const Callback& callback : batch) {
        callback();
    }
}

void Event_loop::dispatch(std::uint64_t handler_id, std::uint32_t events)
{
    const auto found = handlers_.find(handler_id);
    if (found != handlers_.end()) {
        const std::shared_ptr<Handler> keep_alive = found->second; // the callback may remove itself
        keep_alive->callback(events);
    }
}

Result<void> Event_loop::run_once(Duration limit)
{
    std::array<epoll_event, kEventsPerTurn> events{};
    const int count =
        epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_milliseconds(limit));
    if (count < 0 && errno != EINTR) {
        return fail_errno("epoll_wait");
    }
    for (int i = 0; i < count; ++i) {
        dispatch(events[static_cast<std::size_t>(i)].data.u64, events[static_cast<std::size_t>(i)].events);
    }
    run_due_timers();
    run_deferred();
    return {};
}

Result<void> Event_loop::run()
{
    do {
        TRY(run_once(Duration(-1)));
    } while (!stopped_);
    stopped_ = false;
    return {};
}

} // namespace vmm
