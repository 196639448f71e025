// SPDX-License-Identifier: Apache-2.0
#include "hypercall/bitmap_argument.hpp"

#include "base/bits.hpp"
#include "hypercall/argument.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

constexpr u32 kMaxBits = 64;

} // namespace

Expected<u64> read_bitmap(Vcpu& vcpu, const xenctl_bitmap& map)
{
    const u32 bits = std::min(map.nr_bits, kMaxBits);
    u64 value      = 0;
    TRY(copy_from_guest(vcpu, &value, address_of(map.bitmap), div_round_up(bits, 8)));
    return value & low_bits(bits);
}

Expected<void> write_bitmap(Vcpu& vcpu, const xenctl_bitmap& map, u64 value)
{
    const u64 bytes = div_round_up(map.nr_bits, 8);
    value &= low_bits(std::min(map.nr_bits, kMaxBits));
    TRY(copy_to_guest(vcpu, address_of(map.bitmap), &value, std::min<u64>(bytes, sizeof value)));
    constexpr u64 zero = 0;
    for (u64 at = sizeof value; at < std::min<u64>(bytes, kPageSize); at += sizeof zero)
        TRY(copy_to_guest(vcpu, address_of(map.bitmap) + at, &zero, std::min<u64>(bytes - at, sizeof zero)));
    return {};
}

} // namespace vmm
