// SPDX-License-Identifier: Apache-2.0
#pragma once
// Threads as CPUs of the machine, for tests under ThreadSanitizer.
#include "base/turns.hpp"
#include "platform/cpus.hpp"

#include <thread>
#include <vector>

namespace vmm::test
{

// Between two exits.
inline void run_guest()
{
    turns::go_out();
    turns::come_in();
}

template <class Work>
void on_cpus(u32 count, Work work)
{
    known_cpus.count = count;
    {
        std::vector<std::jthread> threads;
        for (u32 cpu = 0; cpu < count; ++cpu) {
            threads.emplace_back([&work, cpu] {
                hosted_cpu = cpu;
                work(cpu);
                turns::go_out();
            });
        }
    }
    for (u32 i = 0; i < count; ++i)
        turns::count.of(i) = 0;
    known_cpus.count = 1;
}

} // namespace vmm::test
