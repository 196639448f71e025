// SPDX-License-Identifier: Apache-2.0
#include "platform/rate.hpp"

namespace vmm
{
namespace
{

constexpr unsigned kReadings = 16;

u64 since(const Counter& c, u64 start, u64 end) { return (end - start) & c.mask; }
u64 value(const Counter& c) { return c.read(c.context); }

// Both counters at nearly the same moment: `width` counts of the first passed around the reading.
struct Reading {
    u64 counter, reference, width;
};

Reading read_both(const Counter& counter, const Counter& reference)
{
    Reading best{0, 0, ~0ull};
    for (unsigned i = 0; i < kReadings; ++i) {
        const u64 before = value(counter);
        const u64 middle = value(reference);
        const u64 width  = since(counter, before, value(counter));
        if (width < best.width)
            best = {before + width / 2, middle, width};
    }
    return best;
}

} // namespace

Rate_measurement measure_rate(const Counter& counter, const Counter& reference, u64 reference_hz,
                              u64 reference_ticks)
{
    const Reading start = read_both(counter, reference);
    while (since(reference, start.reference, value(reference)) < reference_ticks) {
    }
    const Reading end = read_both(counter, reference);
    const u64 counts  = since(counter, start.counter, end.counter);
    const u64 ticks   = since(reference, start.reference, end.reference);
    u64 product{};
    if (counts == 0 || ticks == 0 || __builtin_mul_overflow(counts, reference_hz, &product))
        return {0, ~0ull};
    return {product / ticks, (start.width + end.width) * 1'000'000 / counts};
}

} // namespace vmm
