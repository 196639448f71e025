// SPDX-License-Identifier: Apache-2.0
//
// Memory for the hypervisor's own objects, behind operator new(size, nothrow) and delete: classes of 16 to
// 2048 bytes carved out of single frames, and whole frames above that. There is no throwing new, nothing is
// shared with a guest from here, and contents are unknown unless zeroed memory was asked for. Objects are
// aligned to their class, up to a page.
#pragma once

#include "base/types.hpp"

namespace vmm::heap
{

// nullptr when memory is short.
void* allocate(std::size_t bytes);
void* allocate_zeroed(std::size_t bytes);
void release(void* object);

} // namespace vmm::heap
