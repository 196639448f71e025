// SPDX-License-Identifier: Apache-2.0
#pragma once
// Telling whoever started the daemon that it is ready: systemd over its notification socket (sd_notify(3),
// without its library), and the parent process when the daemon goes to the background.

#include "toolstack/base/error.hpp"
#include "toolstack/base/unique_fd.hpp"

#include <string_view>

namespace vmm
{

// "READY=1", "STOPPING=1". Does nothing outside systemd.
void notify_service_manager(std::string_view state);

// Forks. The parent never returns: it exits with 0 once the child calls report_ready(), with 1 if the child
// ends before.
class Background
{
  public:
    [[nodiscard]] static Result<Background> enter();
    void report_ready();

  private:
    explicit Background(Unique_fd pipe) : pipe_(std::move(pipe)) {}
    Unique_fd pipe_;
};

} // namespace vmm
