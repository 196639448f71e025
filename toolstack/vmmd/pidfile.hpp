// SPDX-License-Identifier: Apache-2.0
#pragma once
// The file with the daemon's process id, locked as long as it runs: two daemons would fight over every
// domain. The lock, not the file, is what counts; one that a killed daemon left behind does no harm. Nobody
// else can open it: a reader could take the lock, and no daemon would start.

#include "toolstack/base/error.hpp"
#include "toolstack/base/unique_fd.hpp"

#include <string>

namespace vmm
{

// Errc::busy, naming the other process, when another daemon holds it.
[[nodiscard]] Result<Unique_fd> lock_pidfile(const std::string& path);

} // namespace vmm
