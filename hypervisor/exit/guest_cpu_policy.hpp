// SPDX-License-Identifier: Apache-2.0
//
// The most that a guest's policy can be on this machine, which is also what a domain has until its toolstack
// says otherwise. Made from the machine's CPUID when the first domain is, before there are several CPUs at
// work.
#pragma once

#include "exit/cpu_policy.hpp"

namespace vmm
{

const Cpu_policy& guest_cpu_policy();

} // namespace vmm
