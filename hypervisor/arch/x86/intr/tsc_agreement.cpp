// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/intr/tsc_agreement.hpp"

#include "arch/x86/cpu/execution.hpp"
#include "arch/x86/cpu/msr.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

// Each leaves an error as large as the shortest turn in it, which the next one may undercut.
constexpr unsigned kRounds = 16;
constexpr unsigned kTurns  = 32; // of each; in an emulator a turn can take as long as a slice of the host's

} // namespace

void Tsc_agreement::reset()
{
    arrived_ = 0;
    last_ = behind_ = ahead_ = 0;
}

// Until as many have arrived as there are CPUs, at this meeting.
void Tsc_agreement::meet(u32& meetings)
{
    meetings += 2;
    ++arrived_;
    while (arrived_ < meetings)
        __builtin_ia32_pause();
}

void Tsc_agreement::take_turns(bool other)
{
    for (unsigned i = 0; i < kTurns; ++i) {
        while (others_turn_.load(std::memory_order_acquire) != other)
            __builtin_ia32_pause();
        const u64 now = read_tsc_ordered();
        if (now < last_) {
            u64& worst = other ? behind_ : ahead_;
            worst      = std::max(worst, last_ - now);
        }
        last_ = now;
        others_turn_.store(!other, std::memory_order_release);
    }
}

// Where the CPU has no register for it the counter stays as it is: writing the counter itself loses the time
// that takes, which is more than what can be seen.
void Tsc_agreement::adjust()
{
    const u64 correction = behind_ != 0 ? behind_ : -ahead_;
    if (const auto offset = read_msr_safely(msr::kTscAdjust))
        write_msr(msr::kTscAdjust, *offset + correction);
    last_ = behind_ = ahead_ = 0;
}

void Tsc_agreement::compare(bool other)
{
    u32 meetings = 0;
    for (unsigned round = 0;; ++round) {
        meet(meetings);
        take_turns(other);
        meet(meetings);
        const bool done = agrees() || round + 1 == kRounds;
        meet(meetings);
        if (done)
            return;
        if (other)
            adjust();
    }
}

} // namespace vmm
