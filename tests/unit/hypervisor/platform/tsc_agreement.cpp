// SPDX-License-Identifier: Apache-2.0
//
// Time stamp counters of two CPUs, played by two threads, one of which may be off.
#include "arch/x86/intr/tsc_agreement.hpp"
#include "arch/x86/cpu/execution.hpp"
#include "arch/x86/cpu/msr.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <thread>

using namespace vmm;

namespace
{

thread_local s64 offset       = 0; // of this CPU's counter
thread_local bool can_adjust  = true;
thread_local bool keeps_right = true; // what is written stays

} // namespace

namespace vmm
{

u64 read_tsc()
{
    const auto ns = std::chrono::steady_clock::now().time_since_epoch().count();
    return static_cast<u64>(ns + offset);
}

Expected<u64> read_msr_safely(u32 index)
{
    if (index != msr::kTscAdjust || !can_adjust)
        return fail(Errc::enxio);
    return static_cast<u64>(offset);
}

void write_msr(u32 index, u64 value)
{
    if (!keeps_right)
        return;
    if (index == msr::kTscAdjust)
        offset = static_cast<s64>(value);
}

} // namespace vmm

namespace
{

bool agree(s64 off, bool adjustable = true, bool right = true)
{
    Tsc_agreement agreement;
    agreement.reset();
    std::thread other([&] {
        offset      = off;
        can_adjust  = adjustable;
        keeps_right = right;
        agreement.compare_as_other();
    });
    agreement.compare_as_reference();
    other.join();
    return agreement.agrees();
}

} // namespace

TEST_CASE("counters that run as one agree") { CHECK(agree(0)); }

TEST_CASE("a counter that can be adjusted is set right")
{
    CHECK(agree(-1'000'000'000'000));
    CHECK(agree(1'000'000'000'000));
}

TEST_CASE("one that stays off is found out")
{
    CHECK_FALSE(agree(-1'000'000'000'000, false));
    CHECK_FALSE(agree(-1'000'000'000'000, true, false));
    CHECK_FALSE(agree(1'000'000'000'000, true, false));
}
