// SPDX-License-Identifier: Apache-2.0
#pragma once
// Of work with a domain's memory that takes long, told after each piece. Returning false ends the work with
// Errc::cancelled.

#include <cstdint>
#include <functional>

namespace vmm
{

using Progress = std::function<bool(std::uint64_t pages_done, std::uint64_t pages)>;

} // namespace vmm
