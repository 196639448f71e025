// SPDX-License-Identifier: Apache-2.0
//
// Which MSRs a guest has. Everything that is not named answers with #GP, which kernels probe for, and
// is logged at the guest's debug level. [SDM4, APM2 Appendix A]
#pragma once

#include "base/expected.hpp"

namespace vmm
{

class Vcpu;

// Einval: #GP.
Expected<u64> read_guest_msr(Vcpu& vcpu, u32 index);
Expected<void> write_guest_msr(Vcpu& vcpu, u32 index, u64 value);

} // namespace vmm
