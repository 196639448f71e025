// SPDX-License-Identifier: Apache-2.0
//
// The grants one domain has mapped, by the handles it was given for them. A handle is an index into tables
// that grow a page at a time. Entries are claimed before they are worked on, so that two vCPUs cannot undo
// the same mapping. Owned by the mapping domain's Grant_table.
#pragma once

#include "base/ref.hpp"
#include "base/spinlock.hpp"
#include "base/unique.hpp"
#include "grant/granted.hpp"

namespace vmm
{

struct Mapping {
    enum class State : u8 { free, busy, mapped };

    Ref<Granted> granted; // by whom
    u32 ref = 0;          // free: the next free handle
    std::atomic<State> state{State::free};
    bool write = false;
};
static_assert(sizeof(Mapping) == 16);

class Maptrack
{
  public:
    static constexpr u32 kMaxPages = 1024;
    static constexpr u32 kNoHandle = ~0u;

    // At most kMaxPages.
    explicit Maptrack(u32 max_pages) : max_pages_(max_pages) {}

    // A handle in state busy; kNoHandle when there is none left.
    u32 allocate();
    // The mapping of that handle, busy now; null when it is not mapped (or somebody is at it).
    Mapping* claim(u32 handle);
    // Ends the business with a claimed or allocated handle: it stays mapped, or becomes free.
    void keep(u32 handle) { at(handle).state.store(Mapping::State::mapped, std::memory_order_release); }
    void free(u32 handle);
    [[nodiscard]] Mapping& at(u32 handle) const { return (*pages_[handle / kPerPage])[handle % kPerPage]; }
    // Handles below this number have been used.
    [[nodiscard]] u32 end() const { return page_count_.load(std::memory_order_acquire) * kPerPage; }

  private:
    static constexpr u32 kPerPage = kPageSize / sizeof(Mapping);
    using Page                    = std::array<Mapping, kPerPage>;

    bool grow();

    Spinlock lock_{Lock_rank::grant};
    u32 max_pages_;
    std::atomic<u32> page_count_{0};
    u32 first_free_ = kNoHandle;
    std::array<Unique<Page>, kMaxPages> pages_;
};

} // namespace vmm
