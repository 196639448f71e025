// SPDX-License-Identifier: Apache-2.0
//
// What the two halves of the grant table hypercall share. Not for anybody else.
#pragma once

#include "hypercall/hypercall.hpp"

namespace vmm
{

// Operations on one structure: setup_table, query_size, set_version, get_version.
Hypercall_result do_single_grant_table_op(Vcpu& vcpu, u32 command, Gva arg, u32 count);

} // namespace vmm
