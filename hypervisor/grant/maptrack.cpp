// SPDX-License-Identifier: Apache-2.0
#include "grant/maptrack.hpp"

#include "base/bits.hpp"

namespace vmm
{

bool Maptrack::grow()
{
    const u32 count = page_count_.load(std::memory_order_relaxed);
    if (count == max_pages_)
        return false;
    Expected<Unique<Page>> page = make_unique<Page>();
    if (!page)
        return false;
    const u32 base = count * kPerPage;
    for (u32 i = 0; i < kPerPage; ++i)
        (**page)[i].ref = i + 1 < kPerPage ? base + i + 1 : kNoHandle;
    pages_[count] = std::move(*page);
    page_count_.store(count + 1, std::memory_order_release);
    first_free_ = base;
    return true;
}

u32 Maptrack::allocate()
{
    const Lock_guard guard(lock_);
    if (first_free_ == kNoHandle && !grow())
        return kNoHandle;
    const u32 handle = first_free_;
    Mapping& mapping = at(handle);
    first_free_      = mapping.ref;
    mapping.state.store(Mapping::State::busy, std::memory_order_relaxed);
    return handle;
}

Mapping* Maptrack::claim(u32 handle)
{
    const Lock_guard guard(lock_);
    if (handle >= end())
        return nullptr;
    Mapping& mapping = at(static_cast<u32>(clip_index(handle, end())));
    if (mapping.state.load(std::memory_order_acquire) != Mapping::State::mapped)
        return nullptr;
    mapping.state.store(Mapping::State::busy, std::memory_order_relaxed);
    return &mapping;
}

void Maptrack::free(u32 handle)
{
    Ref<Granted> granted = std::move(at(handle).granted); // dropped outside the lock
    const Lock_guard guard(lock_);
    Mapping& mapping = at(handle);
    mapping.state.store(Mapping::State::free, std::memory_order_relaxed);
    mapping.ref = first_free_;
    first_free_ = handle;
}

} // namespace vmm
