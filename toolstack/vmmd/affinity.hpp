// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sets of processors on their way between what users write (config/cpu_set.hpp) and what the hypervisor takes
// (xen/control.hpp). Those a machine does not have are left out; a set of nothing else is refused.

#include "toolstack/config/cpu_set.hpp"
#include "toolstack/xen/control.hpp"

#include <string>
#include <vector>

namespace vmm
{

[[nodiscard]] Result<Cpu_bits> to_bits(const config::Cpu_set& set, const Host_info& host);

// "all", "0-3": what it stands for on this machine.
[[nodiscard]] std::string to_text(const Cpu_bits& bits, const Host_info& host);

// Of one vCPU in a list of a config, which may be shorter than that.
void set_affinity_of(std::vector<config::Cpu_set>& list, unsigned vcpu, const config::Cpu_set& set);

} // namespace vmm
