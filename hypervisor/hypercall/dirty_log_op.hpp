// SPDX-License-Identifier: Apache-2.0
//
// XEN_DOMCTL_shadow_op: the log of writes to a domain's memory, and how much memory its page tables may take.
// Work on the log goes by pieces; how far a call got is kept with the domain, so that one such call is
// carried out for a domain at a time. [xen/include/public/domctl.h]
#pragma once

#include "domain/domain.hpp"

#include <xen/domctl.h>

namespace vmm
{

// The pool that nested page tables come from: here a limit, not a reserve.
Expected<void> set_paging_pool(Domain& domain, u64 bytes);

// Einval: an operation that does not exist, a log that is on or off already, the caller's own; ebusy: another
// operation on this log is under way; enomem: no room for the page tables of a log (OFF tidies up).
Expected<void> shadow_op(Vcpu& caller, Domain& domain, xen_domctl_shadow_op& op);

} // namespace vmm
