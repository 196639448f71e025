// SPDX-License-Identifier: Apache-2.0
#include "toolstack/vmmd/console/pty.hpp"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

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
    return pty;
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
