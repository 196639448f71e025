// SPDX-License-Identifier: Apache-2.0
//
// The physical CPUs that run vCPUs: one, until the others are started too.
#pragma once

#include "base/types.hpp"

namespace vmm
{

inline u32 online_cpu_count() { return 1; }
inline u64 online_cpu_mask() { return 1; }

} // namespace vmm
