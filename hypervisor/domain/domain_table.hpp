// SPDX-License-Identifier: Apache-2.0
//
// All domains by id. A lookup gives a hold (Ref): the domain may be dying, but it is there. The list is
// walked in ascending id order by DOMCTL/SYSCTL_getdomaininfolist.
#pragma once

#include "domain/domain.hpp"

namespace vmm
{

// Null when there is none; else the hold is the caller's.
Domain* hold_domain(Domid id);
inline Ref<Domain> find_domain(Domid id) { return Ref(hold_domain(id)); }
// Esrch when there is none; DOMID_SELF means the caller.
Expected<Ref<Domain>> domain_or_self(Domid id, Domain& self);
// The same for what a domain does to itself, and the control domain to anybody. Esrch, eperm.
Expected<Ref<Domain>> domain_acted_on(Domid id, Domain& caller);

// The domain with the smallest id that is at least `id`.
Ref<Domain> next_domain(Domid id);
// Eexist when the id is taken.
Expected<void> insert_domain(Domain& domain);
void remove_domain(Domain& domain);
// An id that is free; ids are handed out in a circle so that they are not reused at once.
Expected<Domid> unused_domid();

} // namespace vmm
