// SPDX-License-Identifier: Apache-2.0
//
// What DOMCTL_getdomaininfo and SYSCTL_getdomaininfolist tell of a domain. [xen/include/public/domctl.h]
#pragma once

#include "domain/domain.hpp"

#include <xen/domctl.h>

namespace vmm
{

xen_domctl_getdomaininfo describe_domain(Domain& domain);

} // namespace vmm
