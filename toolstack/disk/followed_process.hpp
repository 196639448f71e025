// SPDX-License-Identifier: Apache-2.0
#pragma once
// A program that outlives this daemon and is found again by its successor: started here or adopted by its
// number, and in both cases its end is heard of through a pidfd. Nothing happens to it when the object goes.

#include "toolstack/base/child_process.hpp"
#include "toolstack/base/event_loop.hpp"
#include "toolstack/base/unique_fd.hpp"

#include <functional>
#include <memory>
#include <string>

namespace vmm::disk
{

class Followed_process
{
  public:
    // How it ended, in words; whether it ended well, as far as is known of somebody else's child.
    using Ended = std::function<void(const std::string& how, bool well)>;
    // What a successor needs to adopt it is written down in this call, before the program begins.
    using Note  = std::function<void(pid_t)>;

    [[nodiscard]] static Result<std::unique_ptr<Followed_process>>
    start(Event_loop& loop, const Program& program, Ended ended, const Note& note = {});
    // Nothing if there is no such process any more, or the number is another's now: `word` must be one of its
    // command line.
    [[nodiscard]] static std::unique_ptr<Followed_process> adopt(Event_loop& loop, pid_t pid,
                                                                 const std::string& word, Ended ended);
    Followed_process(const Followed_process&)            = delete;
    Followed_process& operator=(const Followed_process&) = delete;
    ~Followed_process();

    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] bool running() const { return static_cast<bool>(handle_); }
    void signal(int number) const;

  private:
    Followed_process(Event_loop& loop, pid_t pid, bool child, Ended ended)
        : loop_(loop), pid_(pid), is_child_(child), ended_(std::move(ended))
    {
    }
    Result<void> follow();
    void has_ended();

    Event_loop& loop_;
    pid_t pid_;
    bool is_child_;
    Ended ended_;
    Unique_fd handle_;
};

} // namespace vmm::disk
