// SPDX-License-Identifier: Apache-2.0
#pragma once
// Gives up what a backend does not need once its disk, the store and the hypervisor's devices are open: every
// capability (root's files stay readable, which the store's socket is), new programs with more rights, and
// the folder it was started in.

#include "toolstack/base/error.hpp"

namespace vmm::block
{

[[nodiscard]] Result<void> drop_privileges();

} // namespace vmm::block
