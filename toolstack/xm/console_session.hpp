// SPDX-License-Identifier: Apache-2.0
// One attachment to a domain's console: bytes from the input to the pty that vmmd holds the other end of, and
// back, until the user types Ctrl-], the output is closed, or vmmd says that the domain has ended. It knows
// nothing of terminals (terminal.hpp) or of how the pty came about (console.cpp).
#pragma once

#include "toolstack/base/unique_fd.hpp"
#include "toolstack/control/client.hpp"
#include "toolstack/xm/waiting.hpp"

#include <array>
#include <string>
#include <string_view>

namespace vmm::xm
{

class Console_session
{
  public:
    static constexpr char kLeave = 0x1d; // Ctrl-]

    // `pty` is open for both ways and not blocking; `wait` is an open `wait` request for the domain on
    // `vmmd`. `signals` is a signalfd, or -1: a signal there ends the session as Ctrl-] does.
    Console_session(int in_fd, int out_fd, Unique_fd pty, int signals, control::Client& vmmd,
                    control::Client::Request_id wait);

    // How the domain ended, or nothing if the user left while it was running.
    [[nodiscard]] Outcome<std::optional<Ending>> run();

  private:
    enum class Step { go_on, leave };

    Outcome<Step> turn();
    void read_input();
    void write_to_pty();
    Outcome<> read_pty();
    Outcome<> show_the_rest();
    Outcome<> show(std::string_view bytes) const;

    int in_fd_;
    int out_fd_;
    Unique_fd pty_;
    int signals_;
    control::Client& vmmd_;
    control::Client::Request_id wait_;
    bool input_open_          = true;
    bool leave_after_sending_ = false; // Ctrl-] was typed
    std::string to_pty_;               // typed, not yet taken by the pty
    std::optional<Ending> ending_;
};

} // namespace vmm::xm
