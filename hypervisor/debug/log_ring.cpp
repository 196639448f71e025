// SPDX-License-Identifier: Apache-2.0
#include "debug/log_ring.hpp"

#include <algorithm>

namespace vmm
{

static_assert((kLogRingSize & (kLogRingSize - 1)) == 0, "character numbers wrap at 2^32");

void Log_ring::append(std::string_view text)
{
    for (char c : text)
        text_[next_++ % kLogRingSize] = c;
    if (next_ - oldest_ > kLogRingSize)
        oldest_ = next_ - kLogRingSize;
}

u32 Log_ring::read(u32 from, std::span<char> out, std::size_t& copied) const
{
    if (from - oldest_ > next_ - oldest_)
        from = oldest_;
    copied = std::min<std::size_t>(out.size(), next_ - from);
    for (std::size_t i = 0; i < copied; ++i)
        out[i] = text_[(from + i) % kLogRingSize];
    return from + static_cast<u32>(copied);
}

} // namespace vmm
