// SPDX-License-Identifier: Apache-2.0
//
// The first thing that went wrong, noticed by whichever vCPU or interrupt handler; the first vCPU prints it
// and crashes the domain. What goes wrong later is not kept.
#pragma once

#include "guest/print.hpp"

#include <atomic>

namespace vmm::stress
{

using guest::s64;
using guest::u16;
using guest::u32;
using guest::u64;

enum class Trouble : u32 { none, being_told, told };
inline std::atomic<Trouble> trouble{Trouble::none};
inline char trouble_reason[256]; // ended by a zero byte

template <class... Pieces>
void fail(const Pieces&... pieces)
{
    Trouble none = Trouble::none;
    if (!trouble.compare_exchange_strong(none, Trouble::being_told))
        return;
    guest::Line line;
    (line.put(pieces), ...);
    line.text().copy(trouble_reason, sizeof trouble_reason - 1);
    trouble = Trouble::told;
}

} // namespace vmm::stress
