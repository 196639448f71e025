// SPDX-License-Identifier: Apache-2.0
//
// The control operations on CPU policies, in the serialised form: lists of CPUID leaves and of MSRs, of which
// there are two and both are 0. [xen/include/public/domctl.h, sysctl.h, arch-x86/xen.h xen_cpuid_leaf]
#pragma once

#include "domain/domain.hpp"

#include <xen/domctl.h>
#include <xen/sysctl.h>

namespace vmm
{

Expected<void> get_cpu_policy(Vcpu& caller, const Domain& domain, xen_domctl_cpu_policy& op);
// Eexist once the domain has run. When it fails for what the lists say, op.err_* tell where.
Expected<void> set_cpu_policy(Vcpu& caller, Domain& domain, xen_domctl_cpu_policy& op);
Expected<void> get_system_cpu_policy(Vcpu& caller, xen_sysctl_cpu_policy& op);
// Enobufs when the list had no room for all; what fits has been written then.
Expected<void> get_cpu_featureset(Vcpu& caller, xen_sysctl_cpu_featureset& op);

} // namespace vmm
