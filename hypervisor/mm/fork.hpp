// SPDX-License-Identifier: Apache-2.0
//
// A new domain begins with the memory of another one: what both have is in common from then on, read-only,
// and whoever writes first gets a copy. Parent and child live on, and end, independently of each other; a
// child can be a parent. What cannot be in common, because somebody else uses it now, is copied. Memory only:
// processors and what is around them are the control domain's business. Time goes by mappings, and by the
// frames that are copied.
//
// A child that has a claim (XENMEM_claim_pages) of at least what the parent has is sure of a frame for each
// copy that it or the parent makes later; without a claim nobody is, and who writes when there is none is
// crashed.
#pragma once

#include "base/expected.hpp"

namespace vmm
{

class Domain;

// By one caller at a time. Erestart while there is more to do; the parent is paused meanwhile. Einval: the
// child has run, has memory, or claims too little; or they differ in their number of vCPUs. Ebusy: the
// parent's writes are logged, or the child is another one's already. Enomem. What fails leaves a child that
// is only good to be destroyed, and a parent as it was, but that its memory is in common.
Expected<void> fork_memory(Domain& child, Domain& parent);

// Nothing more comes of a fork that is not complete.
void end_fork(Domain& child);

} // namespace vmm
