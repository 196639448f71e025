// SPDX-License-Identifier: Apache-2.0
//
// CPU and node masks as the control interface passes them: a byte array somewhere in the caller's memory
// and a number of bits. Up to 64 bits are looked at; those the caller has no room for are dropped, those
// that mean nothing here are zero. [xen/include/public/xen.h, xenctl_bitmap]
#pragma once

#include "base/expected.hpp"

#include <xen/domctl.h>
#include <xen/xen.h>

namespace vmm
{

class Vcpu;

Expected<u64> read_bitmap(Vcpu& vcpu, const xenctl_bitmap& map);
Expected<void> write_bitmap(Vcpu& vcpu, const xenctl_bitmap& map, u64 value);

} // namespace vmm
