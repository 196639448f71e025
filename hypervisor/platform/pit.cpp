// SPDX-License-Identifier: Apache-2.0
#include "platform/pit.hpp"

#include "arch/x86/cpu/port_io.hpp"

namespace vmm
{
namespace
{

constexpr u16 kChannel2     = 0x42;
constexpr u16 kCommand      = 0x43;
constexpr u16 kGate         = 0x61;
constexpr u8 kGateOn        = 0x01;
constexpr u8 kSpeakerOn     = 0x02;
// Channel 2, low byte then high byte, mode 2: counts to 1 and starts over.
constexpr u8 kRateGenerator = 0xb4;
constexpr u8 kLatch         = 0x80;
// Equal readings in a row that mean that it does not count; a reading takes about 3 us, a tick 0.8 us.
constexpr unsigned kStuck   = 1000;

} // namespace

void pit_start()
{
    out8(kGate, static_cast<u8>((in8(kGate) & ~kSpeakerOn) | kGateOn));
    out8(kCommand, kRateGenerator);
    out8(kChannel2, 0xff);
    out8(kChannel2, 0xff);
}

u16 pit_read()
{
    out8(kCommand, kLatch);
    const u8 low = in8(kChannel2);
    return static_cast<u16>(low | in8(kChannel2) << 8);
}

void pit_wait(unsigned milliseconds)
{
    pit_start();
    const u64 wanted = kPitHz * milliseconds / 1000;
    u64 passed       = 0;
    u16 last         = pit_read();
    for (unsigned stuck = 0; passed < wanted && stuck < kStuck; ++stuck) {
        const u16 now = pit_read();
        if (now == last)
            continue;
        passed += static_cast<u16>(last - now);
        last  = now;
        stuck = 0;
    }
}

} // namespace vmm
