// SPDX-License-Identifier: Apache-2.0
#pragma once
// A new thread. The system may have none left to give, and std::thread throws then: a daemon has to refuse
// what it was asked for and go on.

#include "toolstack/base/error.hpp"

#include <functional>
#include <thread>

namespace vmm
{

[[nodiscard]] Result<std::thread> start_thread(std::function<void()> body);

} // namespace vmm
