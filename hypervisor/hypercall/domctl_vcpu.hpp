// SPDX-License-Identifier: Apache-2.0
//
// The control operations on single vCPUs. [xen/include/public/domctl.h]
#pragma once

#include "domain/domain.hpp"

#include <xen/domctl.h>

namespace vmm
{

Expected<void> get_vcpu_info(Domain& domain, xen_domctl_getvcpuinfo& op);
Expected<void> set_vcpu_affinity(Vcpu& caller, Domain& domain, const xen_domctl_vcpuaffinity& op);
Expected<void> get_vcpu_affinity(Vcpu& caller, Domain& domain, const xen_domctl_vcpuaffinity& op);
Expected<void> send_trigger(Domain& domain, const xen_domctl_sendtrigger& op);

} // namespace vmm
