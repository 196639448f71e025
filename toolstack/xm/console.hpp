// SPDX-License-Identifier: Apache-2.0
// Attaching to a console from beginning to end, for `xm console` and `xm create -c`: finds the pty, puts the
// terminal into raw mode, runs sessions, and follows the domain through its restarts.
#pragma once

#include "toolstack/xm/invocation.hpp"

namespace vmm::xm
{

// Returns when the user leaves or the domain has ended for good.
[[nodiscard]] Outcome<> attach_console(Invocation& invocation, const std::string& domain);

} // namespace vmm::xm
