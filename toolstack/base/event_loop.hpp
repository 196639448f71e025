// SPDX-License-Identifier: Apache-2.0
#pragma once
// The single-threaded event loop of a daemon: descriptors (epoll), timers on the steady clock, signals
// (signalfd), child exits (pidfd) and work put off to the next turn. It owns the callbacks, never the
// descriptors added to it; remove a descriptor before closing it. Any callback may add, modify or remove
// anything, itself included; a removed handler is not called again, not even for an event already fetched.
// Not thread safe. A callback must not throw or block.

#include "toolstack/base/error.hpp"
#include "toolstack/base/unique_fd.hpp"

#include <sys/epoll.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

namespace vmm
{

class Event_loop
{
  public:
    using Clock       = std::chrono::steady_clock;
    using Duration    = std::chrono::nanoseconds;
    using Callback    = std::function<void()>;
    using Fd_callback = std::function<void(std::uint32_t events)>; // EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR...
    using Signal_callback = std::function<void(int signal_number)>;
    using Exit_callback   = std::function<void(int wait_status)>; // as waitpid() fills it

    enum class Timer_id : std::uint64_t {}; // 0 is never handed out

    [[nodiscard]] static Result<std::unique_ptr<Event_loop>> create();
    Event_loop(const Event_loop&)            = delete;
    Event_loop& operator=(const Event_loop&) = delete;
    ~Event_loop();

    // Level triggered. Adding a descriptor twice is an error (Errc::exists).
    [[nodiscard]] Result<void> add(int fd, std::uint32_t events, Fd_callback callback);
    [[nodiscard]] Result<void> modify(int fd, std::uint32_t events);
    void remove(int fd);

    Timer_id after(Duration delay, Callback callback);
    Timer_id every(Duration period,
                   Callback callback); // ticks missed while the loop was busy are not made up for
    void cancel(Timer_id id);          // an expired or unknown id is ignored
    void defer(Callback callback);     // runs once, on the next turn, after the events now pending

    // Blocks the signals for the process's threads made from now on and delivers them here instead.
    [[nodiscard]] Result<void> on_signals(std::initializer_list<int> signals,
                                          const Signal_callback& callback);
    // Reaps the child and reports its wait status, once. The child must be this process's own and not yet
    // reaped.
    [[nodiscard]] Result<void> on_child_exit(pid_t child, Exit_callback callback);
    void forget_child(pid_t child); // leaves the child unreaped

    // Runs until stop(). A stop() made before run() makes it return after one turn.
    [[nodiscard]] Result<void> run();
    // One turn: waits at most `limit` (negative: until something happens), handles what is due.
    [[nodiscard]] Result<void> run_once(Duration limit);
    void stop() { stopped_ = true; }

  private:
    struct Handler {
        std::uint64_t id;
        int fd;
        Fd_callback callback;
    };
    struct Timer {
        Duration period; // zero: one shot
        Clock::time_point due;
        Callback callback;
    };
    struct Child {
        Unique_fd pidfd;
        Exit_callback callback;
    };
    using Due_key = std::pair<Clock::time_point, std::uint64_t>;

    explicit Event_loop(Unique_fd epoll) : epoll_(std::move(epoll)) {}
    Timer_id start_timer(Duration delay, Duration period, Callback callback);
    int wait_milliseconds(Duration limit) const;
    void run_due_timers();
    void run_deferred();
    void dispatch(std::uint64_t handler_id, std::uint32_t events);
    void read_signals();
    void reap(pid_t child);

    Unique_fd epoll_;
    bool stopped_          = false;
    std::uint64_t next_id_ = 1;
    std::unordered_map<std::uint64_t, std::shared_ptr<Handler>> handlers_;
    std::unordered_map<int, std::uint64_t> handler_of_fd_;
    std::unordered_map<std::uint64_t, std::shared_ptr<Timer>> timers_;
    std::map<Due_key, std::uint64_t> due_; // the timers again, by time
    std::vector<Callback> deferred_;
    Unique_fd signal_fd_;
    std::unordered_map<int, Signal_callback> signal_callbacks_;
    std::unordered_map<pid_t, Child> children_;
};

} // namespace vmm
