// SPDX-License-Identifier: Apache-2.0
#include "exit/mtrr.hpp"

#include "base/bits.hpp"

#include <algorithm>

namespace vmm
{
namespace
{

constexpr u32 kCapability    = 0x0fe;
constexpr u32 kFirstVariable = 0x200;
constexpr u32 kDefaultType   = 0x2ff;
constexpr u64 kCapabilities  = MTRR_VCNT | bit(8) | bit(10); // fixed ranges, write-combining
constexpr u32 kFixedIndex[]  = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f};

constexpr bool is_memory_type(u64 type) { return type == 0 || type == 1 || (type >= 4 && type <= 6); }

constexpr bool all_memory_types(u64 value)
{
    for (unsigned i = 0; i < 64; i += 8) {
        if (!is_memory_type((value >> i) & 0xff))
            return false;
    }
    return true;
}

} // namespace

std::optional<unsigned> Mtrr::fixed_slot(u32 index)
{
    for (unsigned i = 0; i < kFixed; ++i) {
        if (kFixedIndex[i] == index)
            return i;
    }
    return std::nullopt;
}

bool Mtrr::owns(u32 index)
{
    return index == kCapability || (index >= kFirstVariable && index <= kDefaultType && index != 0x277);
}

Expected<u64> Mtrr::read(u32 index) const
{
    if (index == kCapability)
        return kCapabilities;
    if (index == kDefaultType)
        return default_type_;
    if (index < kFirstVariable + 2 * kVariable)
        return variable_[index - kFirstVariable];
    if (const auto slot = fixed_slot(index))
        return fixed_[*slot];
    return fail(Errc::einval);
}

Expected<void> Mtrr::write(u32 index, u64 value)
{
    if (index == kDefaultType) {
        if ((value & ~0xcffull) != 0 || !is_memory_type(value & 0xff))
            return fail(Errc::einval);
        default_type_ = value;
    } else if (index != kCapability && index < kFirstVariable + 2 * kVariable) {
        variable_[index - kFirstVariable] = value;
    } else if (const auto slot = fixed_slot(index); slot && all_memory_types(value)) {
        fixed_[*slot] = value;
    } else {
        return fail(Errc::einval);
    }
    return {};
}

void Mtrr::save(hvm_hw_mtrr& record) const
{
    std::copy(variable_.begin(), variable_.end(), record.msr_mtrr_var);
    std::copy(fixed_.begin(), fixed_.end(), record.msr_mtrr_fixed);
    record.msr_mtrr_cap      = kCapabilities;
    record.msr_mtrr_def_type = default_type_;
}

Expected<void> Mtrr::load(const hvm_hw_mtrr& record)
{
    for (u32 i = 0; i < 2 * kVariable; ++i)
        TRY(write(kFirstVariable + i, record.msr_mtrr_var[i]));
    for (unsigned i = 0; i < kFixed; ++i)
        TRY(write(kFixedIndex[i], record.msr_mtrr_fixed[i]));
    return write(kDefaultType, record.msr_mtrr_def_type);
}

} // namespace vmm
