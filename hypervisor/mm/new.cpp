// SPDX-License-Identifier: Apache-2.0
//
// The language's allocation functions, freestanding only; hosted tests use those of the host.
#include "mm/heap.hpp"

#include <new>

#if !__STDC_HOSTED__

const std::nothrow_t std::nothrow{};

void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return vmm::heap::allocate(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return vmm::heap::allocate(bytes); }
void operator delete(void* object) noexcept { vmm::heap::release(object); }
void operator delete[](void* object) noexcept { vmm::heap::release(object); }
void operator delete(void* object, std::size_t) noexcept { vmm::heap::release(object); }
void operator delete[](void* object, std::size_t) noexcept { vmm::heap::release(object); }
void operator delete(void* object, const std::nothrow_t&) noexcept { vmm::heap::release(object); }
void operator delete[](void* object, const std::nothrow_t&) noexcept { vmm::heap::release(object); }

#endif
