// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/cpu/machine_check.hpp"

#include "arch/x86/cpu/msr.hpp"
#include "base/bits.hpp"
#include "debug/log.hpp"

namespace vmm
{
namespace
{

// Of a bank's status.
constexpr u64 kValid = bit(63), kContextCorrupt = bit(57), kHasAddress = bit(58);

u64 read_or_none(u32 index) { return read_msr_safely(index).value_or(0); }

} // namespace

bool take_machine_check()
{
    const u64 banks = read_or_none(msr::kMcgCap) & 0xff;
    bool can_go_on  = true;
    for (u32 bank = 0; bank < banks; ++bank) {
        const u32 first  = msr::kMc0Ctl + 4 * bank;
        const u64 status = read_or_none(first + 1);
        if (!(status & kValid))
            continue;
        log::error("machine check, bank {}: status {x}, address {x}", bank, status,
                   status & kHasAddress ? read_or_none(first + 2) : 0);
        can_go_on &= !(status & kContextCorrupt);
        (void)write_msr_safely(first + 1, 0);
    }
    (void)write_msr_safely(msr::kMcgStatus, 0);
    return can_go_on;
}

} // namespace vmm
