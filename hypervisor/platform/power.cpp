// SPDX-License-Identifier: Apache-2.0
#include "platform/power.hpp"

#include "arch/x86/cpu/execution.hpp"
#include "arch/x86/cpu/port_io.hpp"
#include "mm/direct_map.hpp"
#include "platform/acpi.hpp"
#include "platform/pit.hpp"

namespace vmm::power
{
namespace
{

constexpr u16 kResetControl    = 0xcf9; // chipset: bit 1 "system reset", bit 2 "go"
constexpr u16 kKeyboardStatus  = 0x64;
constexpr u16 kKeyboardCommand = 0x64;
constexpr u8 kInputFull        = 0x02;
constexpr u8 kPulseReset       = 0xfe;
constexpr u16 kSleepTypeMask   = 0x1c00; // SLP_TYP, bits 12:10 [ACPI 4.8.3.2.1]
constexpr u16 kSleepEnable     = 0x2000;
constexpr unsigned kPatienceMs = 100;

constinit Fadt_info acpi{};
constinit std::optional<Sleep_type> soft_off;

void reset_by_acpi()
{
    if (!acpi.can_reset())
        return;
    const Generic_address& r = acpi.reset_register;
    if (r.space == Generic_address::Space::io)
        out8(static_cast<u16>(r.address), acpi.reset_value);
    else if (r.space == Generic_address::Space::memory)
        *to_virtual<volatile u8>(Hpa(r.address)) = acpi.reset_value;
    pit_wait(kPatienceMs);
}

void reset_by_chipset()
{
    out8(kResetControl, 0x02);
    out8(kResetControl, 0x06);
    pit_wait(kPatienceMs);
}

void reset_by_keyboard_controller()
{
    for (unsigned i = 0; i < 10'000 && (in8(kKeyboardStatus) & kInputFull); ++i) {
    }
    out8(kKeyboardCommand, kPulseReset);
    pit_wait(kPatienceMs);
}

void enter_sleep(const Generic_address& control, u8 type)
{
    if (control.space != Generic_address::Space::io)
        return;
    const u16 port  = static_cast<u16>(control.address);
    const u16 value = static_cast<u16>((in16(port) & ~(kSleepTypeMask | kSleepEnable)) | type << 10);
    out16(port, value);
    out16(port, value | kSleepEnable);
}

} // namespace

void set_acpi(const Fadt_info& fadt, std::optional<Sleep_type> s5)
{
    acpi     = fadt;
    soft_off = s5;
}

void reset()
{
    reset_by_acpi();
    reset_by_chipset();
    reset_by_keyboard_controller();
    triple_fault();
}

void off()
{
    if (!soft_off)
        return;
    enter_sleep(acpi.pm1b_control, soft_off->b);
    enter_sleep(acpi.pm1a_control, soft_off->a);
    pit_wait(kPatienceMs);
}

} // namespace vmm::power
