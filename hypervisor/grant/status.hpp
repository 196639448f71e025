// SPDX-License-Identifier: Apache-2.0
//
// Outcome of one grant operation, as the ABI reports it in the structure of each operation (GNTST_* of
// public/grant_table.h). The hypercall as a whole has an errno of its own besides.
#pragma once

#include "base/types.hpp"

#include <xen/grant_table.h>
#include <xen/xen.h>

namespace vmm
{

enum class [[nodiscard]] Grant_status : s16{
    okay              = GNTST_okay,
    general_error     = GNTST_general_error,
    bad_domain        = GNTST_bad_domain,
    bad_gntref        = GNTST_bad_gntref,
    bad_handle        = GNTST_bad_handle,
    permission_denied = GNTST_permission_denied,
    bad_page          = GNTST_bad_page,
    bad_copy_arg      = GNTST_bad_copy_arg,
    eagain            = GNTST_eagain,
    no_space          = GNTST_no_space,
};

} // namespace vmm
