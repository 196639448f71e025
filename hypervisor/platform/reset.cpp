// SPDX-License-Identifier: Apache-2.0
#include "platform/reset.hpp"

#include "arch/x86/cpu/machine_end.hpp"
#include "arch/x86/cpu/port_io.hpp"
#include "platform/pit.hpp"

namespace vmm
{
namespace
{

constexpr u16 kResetControl    = 0xcf9; // chipset: bit 1 "system reset", bit 2 "go"
constexpr u16 kKeyboardStatus  = 0x64;
constexpr u16 kKeyboardCommand = 0x64;
constexpr u8 kInputFull        = 0x02;
constexpr u8 kPulseReset       = 0xfe;

void reset_by_keyboard_controller()
{
    for (unsigned i = 0; i < 10'000 && (in8(kKeyboardStatus) & kInputFull); ++i) {
    }
    out8(kKeyboardCommand, kPulseReset);
}

} // namespace

void machine_reboot()
{
    out8(kResetControl, 0x02);
    out8(kResetControl, 0x06);
    pit_wait(100);
    reset_by_keyboard_controller();
    pit_wait(100);
    triple_fault();
}

void delay_seconds(unsigned seconds)
{
    for (unsigned i = 0; i < seconds * 20; ++i)
        pit_wait(50);
}

} // namespace vmm
