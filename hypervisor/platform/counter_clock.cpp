// SPDX-License-Identifier: Apache-2.0
#include "platform/counter_clock.hpp"

namespace vmm
{

void Counter_clock::begin(const Counter& counter, u64 hz, Time from)
{
    counter_ = counter;
    to_ns_   = Rate_scale::between(hz, kSecond);
    from_    = from;
    first_   = counter_.read(counter_.context);
    seen_.store(first_, std::memory_order_relaxed);
}

// The counter is read after what was seen of it, so that it can only be ahead of that. Who is the first to
// see much of the way to the next wrap gone leaves word; the others need not write.
Time Counter_clock::now() const
{
    u64 seen        = seen_.load(std::memory_order_acquire);
    const u64 ahead = (counter_.read(counter_.context) - seen) & counter_.mask;
    const u64 count = seen + ahead;
    if (ahead > counter_.mask / (2 * kReadsPerWrap))
        seen_.compare_exchange_strong(seen, count, std::memory_order_release, std::memory_order_relaxed);
    return from_ + to_ns_.apply(count - first_);
}

} // namespace vmm
