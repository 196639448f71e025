// SPDX-License-Identifier: Apache-2.0
//
// The HVM parameters of a domain: numbered 64-bit values that the toolstack and the guest leave for each
// other (store and console page and port), plus the callback vector. [xen/include/public/hvm/params.h]
#pragma once

#include "base/types.hpp"

#include <array>

#include <xen/hvm/params.h>
#include <xen/sched.h>
#include <xen/xen.h>

namespace vmm
{

struct Hvm_params {
    Hvm_params() { value[HVM_PARAM_TRIPLE_FAULT_REASON] = SHUTDOWN_reboot; } // as a PC would

    std::array<u64, HVM_NR_PARAMS> value{};
    // Vector by which "an event is pending" is delivered to every vCPU; 0 while none is set.
    u8 callback_vector = 0;
};

} // namespace vmm
