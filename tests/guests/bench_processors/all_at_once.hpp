// SPDX-License-Identifier: Apache-2.0
//
// What operations cost when every CPU does them at the same time: the instructions of all CPUs together, for
// each operation. If nobody has to wait for anybody the figure is the same on any number of CPUs.
#pragma once

#include "bench_processors/setup.hpp"

namespace vmm::bench
{

// By the first vCPU, of `cpus` that are pinned to a CPU each. The child has granted a page of its own for
// each vCPU, from `first_ref` on.
void bench_all_at_once(u32 cpus, domid_t child, grant_ref_t first_ref);

} // namespace vmm::bench
