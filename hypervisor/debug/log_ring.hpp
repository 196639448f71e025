// SPDX-License-Identifier: Apache-2.0
//
// The last part of the log, in memory, as XEN_SYSCTL_readconsole hands it out: characters numbered from 0
// for ever (modulo 2^32), of which the newest kLogRingSize at most are kept. Pure; the owner locks.
// [xen/include/public/sysctl.h, xen_sysctl_readconsole]
#pragma once

#include "base/types.hpp"

#include <array>
#include <span>
#include <string_view>

namespace vmm
{

inline constexpr u32 kLogRingSize = 128 * 1024;

class Log_ring
{
  public:
    // The first character gets number `first`.
    constexpr explicit Log_ring(u32 first = 0) : oldest_(first), next_(first) {}

    void append(std::string_view text);

    // Copies from number `from` on, or from the oldest kept when that is gone or not yet written. Returns
    // the number after the last character copied; `copied` says how many there were.
    u32 read(u32 from, std::span<char> out, std::size_t& copied) const;
    [[nodiscard]] u32 oldest() const { return oldest_; }
    [[nodiscard]] u32 next() const { return next_; }
    // Forgets all that is kept now.
    void clear() { oldest_ = next_; }

  private:
    std::array<char, kLogRingSize> text_{};
    u32 oldest_;
    u32 next_;
};

} // namespace vmm
