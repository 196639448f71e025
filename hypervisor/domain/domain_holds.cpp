// SPDX-License-Identifier: Apache-2.0
//
// How long a domain's object lives: as long as its longest hold.
#include "domain/domain.hpp"

namespace vmm
{

bool Domain::try_hold()
{
    u32 count = holds_.load(std::memory_order_relaxed);
    while (count != 0) {
        if (holds_.compare_exchange_weak(count, count + 1, std::memory_order_acquire))
            return true;
    }
    return false;
}

void Domain::drop()
{
    if (holds_.fetch_sub(1, std::memory_order_acq_rel) == 1)
        delete this;
}

} // namespace vmm
