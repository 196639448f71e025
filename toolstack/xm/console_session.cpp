// SPDX-License-Identifier: Apache-2.0
#include "toolstack/xm/console_session.hpp"

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <unistd.h>

namespace vmm::xm
{

namespace
{

constexpr std::size_t kMost_waiting = 4096; // of input the guest does not take; then the input is left alone
constexpr short kReadable           = POLLIN | POLLHUP | POLLERR;

bool try_later(int number) { return number == EAGAIN || number == EWOULDBLOCK || number == EINTR; }

} // namespace

Console_session::Console_session(int in_fd, int out_fd, Unique_fd pty, int signals, control::Client& vmmd,
                                 control::Client::Request_id wait)
    : in_fd_(in_fd), out_fd_(out_fd), pty_(std::move(pty)), signals_(signals), vmmd_(vmmd), wait_(wait)
{
}

Outcome<std::optional<Ending>> Console_session::run()
{
    for (;;) {
        const auto step = TRY(turn());
        if (step == Step::leave)
            return ending_;
    }
}

Outcome<Console_session::Step> Console_session::turn()
{
    const bool wants_input = input_open_ && !leave_after_sending_ && to_pty_.size() < kMost_waiting;
    const short pty_events = static_cast<short>(POLLIN | (to_pty_.empty() ? 0 : POLLOUT));
    pollfd fds[]           = {
                  {wants_input ? in_fd_ : -1, POLLIN, 0},
                  {pty_.get(), pty_events, 0}, // -1, and so ignored, once vmmd has closed its end
                  {vmmd_.fd(), POLLIN, 0},
                  {signals_, POLLIN, 0},
    };
    auto& [input, pty, vmmd, signals] = fds;
    if (::poll(fds, std::size(fds), -1) < 0)
        return errno == EINTR ? Outcome<Step>{Step::go_on} : failed("poll failed");

    if (signals.revents != 0)
        return Step::leave;
    if (pty.revents & kReadable)
        TRY(read_pty());
    if (input.revents != 0)
        read_input();
    if (!to_pty_.empty())
        write_to_pty();
    // A person who wants out is let out now, a script's last bytes are delivered first.
    if (leave_after_sending_ && (to_pty_.empty() || ::isatty(in_fd_) == 1))
        return Step::leave;
    if (vmmd.revents == 0)
        return Step::go_on;

    if (const auto received = vmmd_.receive(); !received)
        return std::unexpected(to_failure(received.error()));
    const auto answer = vmmd_.taken(wait_);
    if (!answer)
        return Step::go_on;
    if (!*answer)
        return std::unexpected(to_failure(answer->error()));
    ending_ = TRY(read_ending(**answer));
    TRY(show_the_rest());
    return Step::leave;
}

void Console_session::read_input()
{
    std::array<char, 1024> chunk;
    const ssize_t got = ::read(in_fd_, chunk.data(), chunk.size());
    if (got < 0 && try_later(errno))
        return;
    if (got <= 0) {
        input_open_          = false;
        leave_after_sending_ = ::isatty(in_fd_) == 1; // a terminal without input was hung up
        return;
    }
    const std::string_view typed{chunk.data(), static_cast<std::size_t>(got)};
    const auto end = typed.find(kLeave);
    to_pty_ += typed.substr(0, end);
    leave_after_sending_ = end != std::string_view::npos;
}

void Console_session::write_to_pty()
{
    if (!pty_)
        return to_pty_.clear(); // nobody is left to read it
    const ssize_t sent = ::write(pty_.get(), to_pty_.data(), to_pty_.size());
    if (sent > 0)
        to_pty_.erase(0, static_cast<std::size_t>(sent));
    else if (sent < 0 && !try_later(errno))
        pty_.reset();
}

// What the domain said last is in the pty before vmmd answers.
Outcome<> Console_session::show_the_rest()
{
    pollfd more{pty_.get(), POLLIN, 0};
    while (pty_ && ::poll(&more, 1, 0) > 0)
        TRY(read_pty());
    return {};
}

Outcome<> Console_session::read_pty()
{
    std::array<char, 4096> chunk;
    const ssize_t got = ::read(pty_.get(), chunk.data(), chunk.size());
    if (got > 0) {
        TRY(show({chunk.data(), static_cast<std::size_t>(got)}));
    } else if (got == 0 || !try_later(errno)) {
        pty_.reset(); // vmmd closed its end (EIO); its answer to `wait` says why
    }
    return {};
}

Outcome<> Console_session::show(std::string_view bytes) const
{
    while (!bytes.empty()) {
        const ssize_t written = ::write(out_fd_, bytes.data(), bytes.size());
        if (written > 0)
            bytes.remove_prefix(static_cast<std::size_t>(written));
        else if (errno == EAGAIN) {
            pollfd wait{out_fd_, POLLOUT, 0};
            ::poll(&wait, 1, -1);
        } else if (errno != EINTR)
            return failed("the output is closed: left the console, the domain goes on");
    }
    return {};
}

} // namespace vmm::xm
