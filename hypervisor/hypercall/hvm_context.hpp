// SPDX-License-Identifier: Apache-2.0
//
// The state of a domain's vCPUs as a chain of records, HEADER first, END last.
// [xen/include/public/hvm/save.h]
#pragma once

#include "domain/domain.hpp"

#include <xen/domctl.h>

namespace vmm
{

class Vcpu;

// DOMCTL_gethvmcontext: without a buffer, the size that is needed.
Expected<void> get_hvm_context(Vcpu& caller, Domain& domain, xen_domctl_hvmcontext& op);
// DOMCTL_gethvmcontext_partial: one record, without its descriptor.
Expected<void> get_hvm_record(Vcpu& caller, Domain& domain, xen_domctl_hvmcontext_partial& op);
// DOMCTL_sethvmcontext: einval for a chain that is malformed or holds a state no CPU could be in; what came
// before the bad record stays applied, and the domain stays as unable to run as it was.
Expected<void> set_hvm_context(Vcpu& caller, Domain& domain, const xen_domctl_hvmcontext& op);

} // namespace vmm
