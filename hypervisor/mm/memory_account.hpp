// SPDX-License-Identifier: Apache-2.0
//
// How much memory counts as a domain's, in 4 KiB frames, and how much may. A frame that the domain gave up
// counts until nobody uses it any more, so a domain cannot have more than its limit by letting others map
// what it gives up. Such frames keep the account, beyond the domain if need be; the last one deletes it.
#pragma once

#include "base/expected.hpp"

#include <atomic>

namespace vmm
{

class Memory_account
{
  public:
    // Enomem when that were more than the limit.
    Expected<void> add(u64 count)
    {
        const u64 after = owned_.fetch_add(count, std::memory_order_relaxed) + count;
        if (after <= limit() && after >= count)
            return {};
        remove(count);
        return fail(Errc::enomem);
    }
    void remove(u64 count) { owned_.fetch_sub(count, std::memory_order_relaxed); }
    [[nodiscard]] u64 owned() const { return owned_.load(std::memory_order_relaxed); }
    [[nodiscard]] u64 limit() const { return limit_.load(std::memory_order_relaxed); }
    // How many of those are in common with other domains, and count on each one's account.
    [[nodiscard]] u64 shared() const { return shared_.load(std::memory_order_relaxed); }
    void share(u64 count) { shared_.fetch_add(count, std::memory_order_relaxed); }
    void unshare(u64 count) { shared_.fetch_sub(count, std::memory_order_relaxed); }
    void set_limit(u64 count) { limit_.store(count, std::memory_order_relaxed); }

    // Ref<Memory_account>, and the same for many frames at once.
    void hold(u64 count) { holds_.fetch_add(count, std::memory_order_relaxed); }
    void drop(u64 count = 1)
    {
        if (holds_.fetch_sub(count, std::memory_order_acq_rel) == count)
            delete this;
    }

  private:
    std::atomic<u64> owned_{0};
    std::atomic<u64> shared_{0};
    std::atomic<u64> limit_{~0ull};
    std::atomic<u64> holds_{1};
};

} // namespace vmm
