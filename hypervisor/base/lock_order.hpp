// SPDX-License-Identifier: Apache-2.0
//
// Watches the order in which one CPU (hosted: one thread) takes locks: a lock of a lower rank than one that
// is held, or a second one of the same rank outside a Lock_pair, may meet its mirror image on another CPU and
// hang both. On in hosted tests and in builds without NDEBUG; it costs nothing elsewhere.
#pragma once

#include "base/panic.hpp"
#include "base/per_cpu.hpp"
#include "base/types.hpp"

#include <array>

namespace vmm
{

// The order in which locks may be taken: outer first. Equal ranks never nest, except two grant tables or
// two event tables, which are taken in the order of their addresses (Lock_pair), and a second scheduler
// queue, which is only tried.
enum class Lock_rank : u8 {
    control,
    domain_table,
    domain,
    grant,
    event,
    devices,
    bound_interrupts,
    vectors,
    delivery,
    p2m,
    core,
    assignment,
    scheduler,
    sched_unit,
    cpu_cap,
    runstate,
    heap,
    frames,
    log,
    console,
    timer, // a line of the log arms one, whatever locks are held
};

class Lock_order
{
    static constexpr unsigned kRanks = static_cast<unsigned>(Lock_rank::timer) + 1;

  public:
#if __STDC_HOSTED__ || !defined(NDEBUG)
    // `paired`: the second lock of a Lock_pair.
    static void taking(Lock_rank rank, bool paired)
    {
        if (!watching)
            return;
        const auto index = static_cast<unsigned>(rank);
        for (unsigned inner = index + 1; inner < here().size(); ++inner)
            ASSERT(here()[inner] == 0);
        ASSERT(here()[index] == (paired ? 1 : 0));
        ++here()[index];
    }
    // Taken without waiting.
    static void tried(Lock_rank rank) { ++here()[static_cast<unsigned>(rank)]; }
    static void released(Lock_rank rank) { --here()[static_cast<unsigned>(rank)]; }
    // Not in a panic, which comes up whatever locks are held.
    static void watch(bool on) { watching = on; }

  private:
    static inline constinit bool watching = true;

    // How many locks of each rank are held.
    static std::array<u8, kRanks>& here()
    {
#if __STDC_HOSTED__
        static thread_local std::array<u8, kRanks> held{};
#else
        static constinit Per_cpu<std::array<u8, kRanks>> all{};
        auto& held = all.here();
#endif
        return held;
    }
#else
    static void taking(Lock_rank, bool) {}
    static void tried(Lock_rank) {}
    static void released(Lock_rank) {}
    static void watch(bool) {}
#endif
};

} // namespace vmm
