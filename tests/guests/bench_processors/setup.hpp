// SPDX-License-Identifier: Apache-2.0
//
// What the measurements share: vCPUs with places of their own, events that only leave the time at which they
// came, and figures printed as `BENCH name value`. Time is that of the time-stamp counter: instructions.
#pragma once

#include "guest/types.hpp"

#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/xen.h>

#include <atomic>

namespace vmm::bench
{

using guest::s64;
using guest::u32;
using guest::u64;
using guest::u8;

inline constexpr u64 kMicrosecond = 1'000;
inline constexpr u32 kRounds      = 51;

// Where an event comes to, and when it last did; 0: not since it was set so.
struct Arrival {
    evtchn_port_t port = 0;
    u32 vcpu           = 0;
    std::atomic<u64> at{0};
};
// From now on events of these two are noted; at most one is on its way at a time.
inline constexpr u32 kArrivals = 3;
extern Arrival arrivals[kArrivals];
inline Arrival& to_other   = arrivals[0]; // vCPU 1's
inline Arrival& timer      = arrivals[1]; // vCPU 0's
inline Arrival& from_child = arrivals[2]; // vCPU 0's

// The upcall, and the timer.
void prepare();
// Makes an arrival of it.
void note(Arrival& arrival, s64 port, u32 vcpu);

[[nodiscard]] u32 cpu_count();
void pin(domid_t domain, u32 vcpu, u32 cpu);
void set_timer_of_first(u64 when);
// Lets every other CPU come to rest, halted or spinning.
void settle();
// Spins or halts until it is not 0, and returns it.
u64 spin_for(const std::atomic<u64>& at);
u64 halt_for(const std::atomic<u64>& at);

// Bodies of other vCPUs.
void be_halted();
void be_running();

// Takes kRounds samples, after one that does not count, and prints their median.
void report(const char* name, u64 (&samples)[kRounds]);
template <class Sample>
void bench(const char* name, Sample sample)
{
    u64 samples[kRounds];
    sample();
    for (u64& one : samples)
        one = sample();
    report(name, samples);
}

} // namespace vmm::bench
