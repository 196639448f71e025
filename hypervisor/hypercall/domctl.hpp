// SPDX-License-Identifier: Apache-2.0
//
// The families of XEN_DOMCTL_* that have files of their own. [xen/include/public/domctl.h]
#pragma once

#include "domain/domain.hpp"

#include <xen/domctl.h>

namespace vmm
{

class Vcpu;

// hvm_context.cpp
// DOMCTL_gethvmcontext: without a buffer, the size that is needed.
Expected<void> get_hvm_context(Vcpu& caller, Domain& domain, xen_domctl_hvmcontext& op);
// DOMCTL_gethvmcontext_partial: one record, without its descriptor.
Expected<void> get_hvm_record(Vcpu& caller, Domain& domain, xen_domctl_hvmcontext_partial& op);
// DOMCTL_sethvmcontext: einval for a chain that is malformed or holds a state no CPU could be in; what came
// before the bad record stays applied, and the domain stays as unable to run as it was.
Expected<void> set_hvm_context(Vcpu& caller, Domain& domain, const xen_domctl_hvmcontext& op);

// dirty_log_op.cpp
// The pool that nested page tables come from: here a limit, not a reserve.
Expected<void> set_paging_pool(Domain& domain, u64 bytes);
// Einval: an operation that does not exist, a log that is on or off already, the caller's own; ebusy: another
// operation on this log is under way; enomem: no room for the page tables of a log (OFF tidies up).
Expected<void> shadow_op(Vcpu& caller, Domain& domain, xen_domctl_shadow_op& op);

// domctl_vcpu.cpp
Expected<void> get_vcpu_info(Domain& domain, xen_domctl_getvcpuinfo& op);
Expected<void> set_vcpu_affinity(Vcpu& caller, Domain& domain, const xen_domctl_vcpuaffinity& op);
Expected<void> get_vcpu_affinity(Vcpu& caller, Domain& domain, const xen_domctl_vcpuaffinity& op);
Expected<void> send_trigger(Domain& domain, const xen_domctl_sendtrigger& op);

} // namespace vmm
