// SPDX-License-Identifier: Apache-2.0
#pragma once
// Starting another program. The child gets the environment given, /dev/null to read from, this process's
// standard output and error, no other descriptor and no blocked signal, and a process group of its own.
// Event_loop's on_child_exit() tells of its end; nothing here waits.

#include "toolstack/base/error.hpp"

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace vmm
{

struct Program {
    std::vector<std::string> words;       // the path of the program first
    std::vector<std::string> environment; // NAME=value
    bool ends_with_us = false;            // SIGTERM when this process ends, however it does
    int error_output  = -1;               // in place of this process's
};

// An error says why the program could not be started, as known from execve() itself. `note` is told the
// child's number before the program begins, and a program that a process was killed over before it had taken
// note never does: so there is none that lives on and that nobody knows.
[[nodiscard]] Result<pid_t> start(const Program& program, const std::function<void(pid_t)>& note = {});

// For a child whose end nobody would hear of: kills it, with its process group, and reaps it.
void end_now(pid_t child);

// "ended with status 3", "was killed by signal 9": a wait status in words.
[[nodiscard]] std::string describe_end(int wait_status);

} // namespace vmm
