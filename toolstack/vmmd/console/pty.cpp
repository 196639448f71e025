// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/console/pty.hpp"

#include <fcntl.h>
#include <sys/inotify.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

namespace vmm
{

Result<Pty> Pty::open()
{
    Pty pty;
    pty.master_.reset(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
    std::array<char, 64> name{};
    if (!pty.master_ || grantpt(pty.master_.get()) < 0 || unlockpt(pty.master_.get()) < 0 ||
        ptsname_r(pty.master_.get(), name.data(), name.size()) != 0) {
        return fail_errno("cannot make a pseudo-terminal (is devpts mounted on /dev/pts?)");
    }
    pty.path_ = name.data();
    pty.slave_.reset(::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC));
    termios settings{};
    if (!pty.slave_ || tcgetattr(pty.slave_.get(), &settings) < 0) {
        return fail_errno("cannot open the pseudo-terminal " + pty.path_);
    }
    cfmakeraw(&settings); // the guest does its own echo and line editing
    if (tcsetattr(pty.slave_.get(), TCSANOW, &settings) < 0) {
        return fail_errno("cannot set up the pseudo-terminal " + pty.path_);
    }
    pty.inotify_.reset(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (!pty.inotify_ || inotify_add_watch(pty.inotify_.get(), name.data(), IN_OPEN | IN_CLOSE) < 0) {
        return fail_errno("cannot watch the pseudo-terminal " + pty.path_);
    }
    return pty;
}

void Pty::read_attachments()
{
    alignas(inotify_event) std::array<char, 4096> buffer{};
    ssize_t got = 0;
    while ((got = ::read(inotify_.get(), buffer.data(), buffer.size())) > 0) {
        for (std::size_t at = 0; at + sizeof(inotify_event) <= static_cast<std::size_t>(got);) {
            inotify_event event{};
            std::memcpy(&event, buffer.data() + at, sizeof event);
            if ((event.mask & IN_OPEN) != 0) {
                ++readers_;
            } else if ((event.mask & IN_CLOSE) != 0) {
                readers_ = std::max(0, readers_ - 1);
            }
            at += sizeof event + event.len;
        }
    }
}

std::size_t Pty::write(std::string_view text) const
{
    const ssize_t done = ::write(master_.get(), text.data(), text.size());
    return done < 0 ? 0 : static_cast<std::size_t>(done);
}

std::string Pty::read(std::size_t limit) const
{
    std::string text(limit, '\0');
    const ssize_t got = ::read(master_.get(), text.data(), text.size());
    text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return text;
}

} // namespace vmm
