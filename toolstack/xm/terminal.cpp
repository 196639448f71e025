// SPDX-License-Identifier: Apache-2.0
#include "toolstack/xm/terminal.hpp"

namespace vmm::xm
{

Raw_terminal::Raw_terminal(int fd) : fd_(fd)
{
    termios old{};
    if (::tcgetattr(fd_, &old) != 0)
        return;
    termios raw = old;
    ::cfmakeraw(&raw);
    if (::tcsetattr(fd_, TCSADRAIN, &raw) == 0)
        saved_ = old;
}

Raw_terminal::~Raw_terminal()
{
    if (saved_)
        ::tcsetattr(fd_, TCSADRAIN, &*saved_);
}

} // namespace vmm::xm
