// SPDX-License-Identifier: Apache-2.0
// The user's terminal in raw mode for as long as this lives: every key goes to the domain, none to the local
// line editor. The old settings come back in the destructor, whatever way the session ends short of SIGKILL.
// On something that is not a terminal it does nothing.
#pragma once

#include <optional>
#include <termios.h>

namespace vmm::xm
{

class Raw_terminal
{
  public:
    explicit Raw_terminal(int fd);
    Raw_terminal(const Raw_terminal&)            = delete;
    Raw_terminal& operator=(const Raw_terminal&) = delete;
    ~Raw_terminal();

  private:
    int fd_;
    std::optional<termios> saved_;
};

} // namespace vmm::xm
