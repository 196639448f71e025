// SPDX-License-Identifier: Apache-2.0
#include "guest/clock.hpp"

#include "guest/cpu.hpp"
#include "guest/hypercall.hpp"
#include "guest/platform.hpp"

#include <atomic>

namespace vmm::guest
{

namespace
{

constexpr u64 kSecond = 1'000'000'000;

// A copy taken while its version was even and stayed the same.
template <class T, class Version>
void read_consistently(Version& version, T copy)
{
    u32 before = 0;
    do {
        while ((before = std::atomic_ref(version).load(std::memory_order_acquire)) & 1)
            pause();
        copy();
        std::atomic_thread_fence(std::memory_order_acquire);
    } while (std::atomic_ref(version).load(std::memory_order_relaxed) != before);
}

} // namespace

u64 system_time() { return system_time(my_vcpu_info()); }

u64 system_time(vcpu_info& of)
{
    vcpu_time_info& shared_time = of.time;
    vcpu_time_info time{};
    u64 tsc = 0;
    read_consistently(shared_time.version, [&] {
        time = shared_time;
        tsc  = rdtsc();
    });
    const u64 ticks  = tsc - time.tsc_timestamp;
    const u64 scaled = time.tsc_shift < 0 ? ticks >> -time.tsc_shift : ticks << time.tsc_shift;
    return time.system_time +
           static_cast<u64>(static_cast<unsigned __int128>(scaled) * time.tsc_to_system_mul >> 32);
}

u64 wall_clock()
{
    shared_info& page = shared();
    u64 base          = 0;
    read_consistently(page.wc_version,
                      [&] { base = (u64{page.wc_sec_hi} << 32 | page.wc_sec) * kSecond + page.wc_nsec; });
    return base + system_time();
}

s64 set_timer(u64 when, bool only_future)
{
    vcpu_set_singleshot_timer timer{};
    timer.timeout_abs_ns = when;
    timer.flags          = only_future ? VCPU_SSHOTTMR_future : 0;
    return vcpu_op(VCPUOP_set_singleshot_timer, 0, &timer);
}

void spin(u64 ns)
{
    const u64 end = system_time() + ns;
    while (system_time() < end)
        pause();
}

} // namespace vmm::guest
