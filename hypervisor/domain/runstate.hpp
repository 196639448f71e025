// SPDX-License-Identifier: Apache-2.0
//
// How long a vCPU has been running, runnable, blocked and offline, and the copy of it that the guest asked
// for. The guest's area is named by a linear address; it is translated once, when it is registered, and
// its frames are held, so that it is updated under any page tables. [xen/include/public/vcpu.h]
#pragma once

#include "base/types.hpp"

#include <xen/xen.h>
#include <xen/vcpu.h>

namespace vmm
{

struct Runstate {
    vcpu_runstate_info info{};
    vcpu_runstate_info* area[2] = {};  // the guest's copy, in one piece or split over two pages
    u32 first_part              = 0;   // bytes of it in the first page
    Mfn held[2]                 = {kInvalidMfn, kInvalidMfn};
    bool update_flag            = false; // VMASST_TYPE_runstate_update_flag
};

} // namespace vmm
