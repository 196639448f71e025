// SPDX-License-Identifier: Apache-2.0
//
// A counter that wraps, read by several CPUs at once, under ThreadSanitizer: none sees less than another saw.
#include "platform/counter_clock.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <thread>
#include <vector>

using namespace vmm;

namespace
{

constexpr unsigned kThreads  = 3;
constexpr unsigned kReadings = 20'000;
constexpr u64 kMask          = 0xffff;
constexpr u64 kStep          = 37;
constexpr u64 kNotReading    = ~0ull;

std::atomic<u64> steps{0};
std::array<std::atomic<u64>, kThreads> reading_since;
thread_local unsigned me;

// A CPU is never held up between two lines for as long as the counter takes to wrap. A thread can be; then
// the others wait for who has been reading for longest.
bool somebody_is_slower()
{
    for (unsigned t = 0; t < kThreads; ++t) {
        const u64 since = reading_since[t];
        if (since < reading_since[me] && (steps - since) * kStep > kMask / 4)
            return true;
    }
    return false;
}

u64 read_counter(const void*)
{
    while (somebody_is_slower())
        std::this_thread::yield();
    return (++steps * kStep) & kMask;
}

} // namespace

TEST_CASE("a counter clock is one for all CPUs")
{
    for (auto& since : reading_since)
        since = kNotReading;
    Counter_clock clock;
    clock.begin({read_counter, nullptr, kMask}, 1'000'000, Time(0));
    const u64 first = steps;
    std::atomic<u64> latest{0};
    std::atomic<unsigned> wrong{0};
    std::vector<std::thread> cpus;
    for (unsigned t = 0; t < kThreads; ++t)
        cpus.emplace_back([&, t] {
            me = t;
            for (unsigned i = 0; i < kReadings; ++i) {
                const u64 before = latest;
                reading_since[t] = steps.load();
                const u64 now    = clock.now().value();
                reading_since[t] = kNotReading;
                wrong += now < before;
                u64 known = before;
                while (known < now && !latest.compare_exchange_weak(known, now)) {
                }
            }
        });
    for (auto& cpu : cpus)
        cpu.join();
    CHECK(wrong == 0);
    CHECK(latest == (steps - first) * kStep * kMicrosecond); // no wrap was lost
}
