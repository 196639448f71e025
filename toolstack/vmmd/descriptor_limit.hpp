// SPDX-License-Identifier: Apache-2.0
#pragma once
// How many files the daemon may have open. It holds three for each domain's console alone; the usual soft
// limit of 1024 is for programs that use select().

#include "toolstack/base/error.hpp"

namespace vmm
{

// To what the administrator allows, which is the hard limit.
[[nodiscard]] Result<void> raise_descriptor_limit();

} // namespace vmm
