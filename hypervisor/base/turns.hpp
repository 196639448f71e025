// SPDX-License-Identifier: Apache-2.0
//
// When each CPU is out of the hypervisor, in a guest or halted, and when it is in: what others may rely on
// without waiting for a lock. A CPU that is out looks at everything again before its guest runs on; one that
// was out since memory was taken away knows of no pointer into it. A number that goes up at each way out and
// each way in; odd while out.
#pragma once

#include "base/per_cpu.hpp"

#include <atomic>

namespace vmm::turns
{

inline constinit Per_cpu<std::atomic<u64>> count;

// What this CPU wrote before can be seen, and what it reads afterwards is not older. The last look at what
// others ask for is after going out, so that either it finds it or they find this CPU out, and send an IPI.
inline void go_out() { count.here().fetch_add(1, std::memory_order_seq_cst); }
inline void come_in() { count.here().fetch_add(1, std::memory_order_seq_cst); }

[[nodiscard]] inline u64 of(u32 cpu) { return count.of(cpu).load(std::memory_order_seq_cst); }
[[nodiscard]] inline bool is_out(u64 turn) { return turn & 1; }

// Whether that CPU was out at some time since its turn was `then`.
[[nodiscard]] inline bool has_been_out(u32 cpu, u64 then) { return is_out(then) || of(cpu) != then; }

} // namespace vmm::turns
