// SPDX-License-Identifier: Apache-2.0
#pragma once
// Waits until the block backends of a domain that stands still have answered all that it had asked of them.
// What it does not see answered it asks again where it runs on, so a write that is still under way here could
// come after a later one from there. Rings are found by their grants, which the guest may make anywhere.
// [<xen/io/ring.h>]

#include "toolstack/base/error.hpp"
#include "toolstack/xen/build_control.hpp"

#include <cstdint>
#include <vector>

namespace vmm::migrate
{

// `grants`: of the first page of each ring.
[[nodiscard]] Result<void> wait_for_answers(Build_control& control, Domid id,
                                            const std::vector<std::uint32_t>& grants);

} // namespace vmm::migrate
